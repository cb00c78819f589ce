select page, sum(0.8::double * clicks + 0.8::double * stay + liked) as heat
from read_csv('INPUT', auto_detect = false, header = false, delim = '|',
      columns = {'page': 'VARCHAR', 'clicks': 'BIGINT', 'stay': 'DOUBLE', 'liked': 'BIGINT'})
group by page order by heat desc limit 10
