. /tmp/nc5/env2; cd /tmp/nc5; MYSQL_PWD=midpw mytls -u midpriv -h 127.0.0.1 -P 40289 --ssl-ca /tmp/mytls-sandbox-18383-3bab3a50/client/ca.pem
