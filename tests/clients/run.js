// Runs the settings in the file of argument 1; prints who is logged in, and the cipher.
const fs = require('fs');
const settings = fs.readFileSync(process.argv[2], 'utf8');
const AsyncFunction = (async () => {}).constructor;

async function first(connection, statement) {
  const answer = await connection.query(statement);
  // mysql2 answers with rows and columns, mariadb with rows
  const rows = Array.isArray(answer[0]) ? answer[0] : answer;
  return Object.values(rows[0]);
}

async function main() {
  const connection = await new AsyncFunction('require', `${settings}\nreturn connection;`)(require);
  const [user] = await first(connection, 'SELECT CURRENT_USER()');
  const [, cipher] = await first(connection, "SHOW SESSION STATUS LIKE 'Ssl_cipher'");
  console.log(user, cipher);
  await connection.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
