"""A service on a free port of this machine, in a thread of the test's process."""

import threading
from contextlib import contextmanager
from contextvars import copy_context

import httpx

from dspex_core.serve.made import service_of
from dspex_core.serve.running import Server, listening, url_of


class Running:
    """A running service: `url`, a client, and its end."""

    def __init__(self, server, thread, url):
        self._server = server
        self._thread = thread
        self.url = url

    def client(self, **options):
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, **options)

    def begin_end(self):
        """What SIGTERM does."""
        self._server.loop.call_soon_threadsafe(self._server.begin_end)

    def join(self):
        self._thread.join(60)
        assert not self._thread.is_alive()


class _Server(Server):
    async def startup(self, sockets=None):
        import asyncio

        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)


@contextmanager
def running(*programs, lm=None, limits=None, **options):
    """Serve programs while the block runs."""
    service = service_of(programs, lm=lm, limits=limits, options=options)
    listener = listening("127.0.0.1", 0)
    started = threading.Event()
    server = _Server(service, started.set)
    thread = threading.Thread(target=copy_context().run, args=(server.run, [listener]))
    url = url_of(listener)
    thread.start()
    assert started.wait(60)
    found = Running(server, thread, url)
    try:
        yield found
    finally:
        if thread.is_alive():
            found.begin_end()
            found.join()
        listener.close()
