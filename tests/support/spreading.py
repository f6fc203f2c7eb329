"""How pytest-xdist spreads the tests over its workers: one by one, but those that share something costly together.

(`--dist loadgroup` would do it by marks, but the marks of pytest-xdist 3.8 go unseen under pytest 9.2.)
"""

from xdist.scheduler import LoadScopeScheduling

# What is started once for all tests of the files, by file.
TOGETHER = {
    "tests/anygraph/test_kinds.py": "processes of each kind of graph",
    "tests/crashes/test_database_trouble.py": "a server that crashes",
    "tests/crashes/test_worker_kills.py": "a server that crashes",
    "tests/engine/test_audit_tampering.py": "audited runs",
    "tests/house/test_packaging.py": "wheel",
    "tests/saver/test_connections.py": "a server that restarts",
    "tests/saver/test_crashes.py": "a server that crashes under load",
    "tests/studio/test_agent_server.py": "Agent Server",
    "tests/studio/test_memory.py": "Agent Server",
    "tests/studio/test_races.py": "Agent Server of a stranger's project",
    "tests/studio/test_strangers_cases.py": "Agent Server of a stranger's project",
    "tests/studio/test_strangers_project.py": "Agent Server of a stranger's project",
}


class Spreading(LoadScopeScheduling):
    """The largest groups first, then test by test."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER.get(nodeid.partition("::")[0], nodeid)
