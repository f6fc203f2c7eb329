"""What the tests of coping share."""

import pytest


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    # Nothing here speaks TLS, and to load the machine's certificates takes each client longer than its test.
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path_factory.getbasetemp()))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
