-- Panes of a second, each in the 60 windows that it is a part of.
with panes as (
  select ms // 1000 as second, key, count(*) as count, sum(value) as sum
  from read_csv('INPUT', auto_detect = false, header = false,
      columns = {'ms': 'BIGINT', 'key': 'VARCHAR', 'value': 'BIGINT'})
  group by second, key
)
select 1000 * first, 1000 * (first + 60), key, sum(count), sum(sum)
from (select unnest(range(second - 59, second + 1)) as first, key, count, sum from panes)
group by first, key
