<?php
// Runs the settings in the file of argument 1; prints who is logged in, and the cipher.
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
eval(file_get_contents($argv[1]));
$first = function (string $statement) use ($connection): array {
    $answer = $connection->query($statement);
    return $answer instanceof PDOStatement ? $answer->fetch(PDO::FETCH_NUM) : $answer->fetch_row();
};
echo $first('SELECT CURRENT_USER()')[0], ' ', $first("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[1], "\n";
