select number
from read_csv('INPUT', auto_detect = false, header = false, columns = {'number': 'BIGINT'})
order by number desc limit 10
