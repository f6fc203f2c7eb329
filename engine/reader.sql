-- name: latest
-- The latest root checkpoint of a thread (nulls where there is none), and where the thread stands, which changes with it.
select saved.*, adjourn.position(%(thread_id)s) as position
from (values (1)) as one left join lateral ({latest}) as saved on true;
