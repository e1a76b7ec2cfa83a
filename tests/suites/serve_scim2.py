"""scim2-server as it is, over a server that keeps connections: serve_scim2.py [its own options].

Its own command speaks HTTP/1.0 by wsgiref and closes each connection without saying so; workerd keeps
such connections, and loses the requests that it sends over them.
"""

from contextlib import contextmanager
from types import SimpleNamespace

from scim2_server.testserver import cli
from waitress import serve


@contextmanager
def make_server(host, port, app, *_, **__):
    yield SimpleNamespace(serve_forever=lambda: serve(app, host=host or "127.0.0.1", port=port, threads=8, _quiet=True))


cli.make_server = make_server
cli.main()
