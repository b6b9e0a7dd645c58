from __future__ import annotations


def test_smoke(server, own_server):
    assert server.client().ping()
    server.client().config_set("maxmemory", "50mb")
    assert server.cli("ping") == "PONG\n"
    o = own_server("--maxmemory", "3mb")
    assert o.client().info()["maxmemory"] == 3 << 20
    o.restart()


def test_again(server):
    assert server.client().config_get("maxmemory")[b"maxmemory"] == b"0"
    server.kill()


def test_again2(server):
    assert server.client().config_get("maxmemory")[b"maxmemory"] == b"0"
