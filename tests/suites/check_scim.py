"""Runs every check of scim2-tester against a SCIM base: check_scim.py URL TOKEN. Prints one line of JSON."""

import json
import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server


def main() -> None:
    base, token = sys.argv[1:3]
    with Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
        client = SyncSCIMClient(http)
        client.discover()
        results = check_server(client)
    bad = {Status.ERROR, Status.CRITICAL}
    counts = {status.name: sum(one.status == status for one in results) for status in Status}
    failed = [f"{one.title}: {one.reason}" for one in results if one.status in bad]
    notes = [f"{one.title}: {one.reason}" for one in results if one.status == Status.DEVIATION]
    print(json.dumps({"counts": counts, "failed": failed, "deviations": notes}))


main()
