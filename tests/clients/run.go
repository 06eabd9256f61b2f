// Opens a connection by the settings compiled in with it; prints who is logged in, and the cipher.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	database, err := open()
	if err != nil {
		return err
	}
	defer database.Close()
	var user, name, cipher string
	if err := database.QueryRow("SELECT CURRENT_USER()").Scan(&user); err != nil {
		return err
	}
	row := database.QueryRow("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
	if err := row.Scan(&name, &cipher); err != nil {
		return err
	}
	fmt.Println(user, cipher)
	return nil
}
