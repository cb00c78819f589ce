select page, count(*), sum(clicks * (liked + 1) + 1)
from read_csv('INPUT', auto_detect = false, header = false, delim = '|',
      columns = {'page': 'VARCHAR', 'clicks': 'BIGINT', 'stay': 'DOUBLE', 'liked': 'BIGINT'})
where 2 * clicks + liked > stay
group by page
