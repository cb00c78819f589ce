select ms // 10000 * 10000 as start, start + 10000, key, count(*), sum(value)
from read_json('INPUT', format = 'newline_delimited',
      columns = {'ms': 'BIGINT', 'key': 'VARCHAR', 'value': 'BIGINT'})
group by start, key
