with marked as (
  select *, coalesce(ms - lag(ms) over (partition by key order by ms) > 300, true) as new
  from read_csv('INPUT', auto_detect = false, header = false,
      columns = {'ms': 'BIGINT', 'key': 'VARCHAR', 'value': 'BIGINT'})
), numbered as (
  select *, sum(new::int) over ordered as number from marked
  window ordered as (partition by key order by ms rows unbounded preceding)
)
select min(ms), max(ms) + 300, key, count(*), sum(value) from numbered group by key, number
