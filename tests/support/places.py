"""How many runs are under way at once, as the database itself sees it: counted at every commit that changes one."""

from support.postgres import execute

# At its end each transaction that changes a status waits for its turn, and counts then: no moment lies between two counts.
WATCH = """
create table public.counted (n serial, workflow text, running int, total int);
create function public.count_running() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(4711);
    insert into public.counted (workflow, running, total)
    select workflow, count(*), sum(count(*)) over () from adjourn.runs where status = 'running' group by workflow;
    return null;
end $$;
create constraint trigger zz_count after insert or update of status on adjourn.runs
    deferrable initially deferred for each row execute function public.count_running();
"""


def watch(database: str) -> None:
    """Count from now on."""
    execute(database, WATCH)


def most_running(database: str, workflow: str | None = None) -> int:
    """The most that ran at any moment since: of a workflow, or of all."""
    if workflow is None:
        return int(execute(database, "select coalesce(max(total), 0) from public.counted")[0][0])
    query = f"select coalesce(max(running), 0) from public.counted where workflow = '{workflow}'"
    return int(execute(database, query)[0][0])
