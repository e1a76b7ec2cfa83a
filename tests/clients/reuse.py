"""Sends refused requests and good ones in turn over one connection: with http.client, and with urllib3 and requests where
they are installed. The cases come as JSON in the environment."""

import http.client
import json
import os
from urllib.parse import urlsplit

CASES = json.loads(os.environ["CASES"])
BASE = urlsplit(os.environ["BASE"])


def check(client, case, status):
    assert status == case["status"], f"{client}: {case['name']}: {status}"


def with_http_client():
    connection = http.client.HTTPConnection(BASE.hostname, BASE.port)
    connection.connect()
    first = connection.sock
    for case in CASES:
        connection.request(case["method"], case["path"], body=b" " * case["length"], headers=case["headers"])
        answer = connection.getresponse()
        answer.read()
        check("http.client", case, answer.status)
        assert connection.sock is first, f"http.client: {case['name']}: the connection was closed"
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        assert answer.read() == b"ok\n"
        assert connection.sock is first
    print("http.client")


def with_urllib3():
    import urllib3

    pool = urllib3.HTTPConnectionPool(BASE.hostname, BASE.port, maxsize=1, block=True, retries=False)
    for case in CASES:
        answer = pool.request(case["method"], case["path"], body=b" " * case["length"], headers=case["headers"])
        check("urllib3", case, answer.status)
        assert pool.request("GET", "/healthz").status == 200
    assert pool.num_connections == 1, f"urllib3: {pool.num_connections} connections"
    print("urllib3")


def with_requests():
    import requests

    with requests.Session() as session:
        for case in CASES:
            url = f"{BASE.geturl()}{case['path']}"
            answer = session.request(case["method"], url, data=b" " * case["length"], headers=case["headers"])
            check("requests", case, answer.status_code)
            assert session.get(f"{BASE.geturl()}/healthz").status_code == 200
    print("requests")


with_http_client()
for optional in (with_urllib3, with_requests):
    try:
        optional()
    except ImportError as missing:
        print(f"SKIPPED: {missing.name} is not installed")
