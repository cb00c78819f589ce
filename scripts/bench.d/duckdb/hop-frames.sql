-- Panes of a second on the grid of all seconds and keys, and window frames over it: faster while
-- there are few keys, which all come all the time.
with panes as (
  select ms // 1000 as second, key, count(*) as count, sum(value) as sum
  from read_csv('INPUT', auto_detect = false, header = false,
      columns = {'ms': 'BIGINT', 'key': 'VARCHAR', 'value': 'BIGINT'})
  group by second, key
), seconds as (
  select unnest(range(min(second), max(second) + 60)) as second from panes
), grid as (
  select second, key, coalesce(count, 0) as count, coalesce(sum, 0) as sum
  from seconds cross join (select distinct key from panes) left join panes using (second, key)
)
select 1000 * (second - 59), 1000 * (second + 1), key, count, sum
from (
  select second, key, sum(count) over frame as count, sum(sum) over frame as sum from grid
  window frame as (partition by key order by second rows between 59 preceding and current row)
)
where count > 0
