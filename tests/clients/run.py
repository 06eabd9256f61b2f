"""Runs the settings in the file of argument 1; prints who is logged in, and the cipher."""

import sys

names = {}
exec(open(sys.argv[1]).read(), names)
cursor = names["connection"].cursor()
cursor.execute("SELECT CURRENT_USER()")
user = cursor.fetchone()[0]
cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
print(user, cursor.fetchone()[1])
