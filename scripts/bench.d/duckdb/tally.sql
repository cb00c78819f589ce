select line, count(*) as count
from read_csv('INPUT', auto_detect = false, header = false, columns = {'line': 'VARCHAR'})
group by line order by count desc limit 10
