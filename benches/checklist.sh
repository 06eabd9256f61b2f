#!/usr/bin/env bash
# The checklist by hand: what a careful DBA types, with nothing but openssl and the server's own
# client. It asks what `mytls check` asks, with no more processes than that takes, and is the peer
# that `make bench` measures it against.
#
#   checklist.sh CLIENT_CNF SERVER_CNF HOST PORT SOCKET CA
set -uo pipefail
client_cnf=$1 server_cnf=$2 host=$3 port=$4 socket=$5 trusted=$6
client=$(command -v mariadb || command -v mysql)
days=30
bad=0

good() { printf '✓ %s\n' "$1"; }
wrong() { printf '✗ %s\n' "$1"; bad=1; }
holds() { if [ "$2" = "$3" ]; then good "$1"; else wrong "$1: $2 / $3"; fi; }
sql() { "$client" --defaults-file="$client_cnf" --socket="$socket" --batch --skip-column-names -e "$1"; }

# Server: does it answer, with which files, and how does it stand? All in one session.
state=$(sql "SELECT 'version', VERSION();
    SHOW GLOBAL VARIABLES WHERE Variable_name IN ('have_ssl', 'ssl_key', 'ssl_cert', 'ssl_ca', 'tls_version',
        'require_secure_transport', 'version_ssl_library');
    SHOW GLOBAL STATUS WHERE Variable_name IN ('Ssl_accepts', 'Ssl_finished_accepts', 'Ssl_server_not_after');") ||
    { wrong "the server answers"; exit 1; }
declare -A value option
while IFS=$'\t' read -r name text; do value[$name]=$text; done <<<"$state"
while IFS=' =' read -r name text; do [ -z "$name" ] || option[$name]=$text; done <"$server_cnf"
good "the server answers: ${value[version]}"
for name in ssl_key ssl_cert ssl_ca; do
    holds "$name is what the option file says" "${value[$name]}" "${option[$name]:-}"
done
key=${value[ssl_key]} cert=${value[ssl_cert]} ca=${value[ssl_ca]}

# Key & certificate
if openssl pkey -in "$key" -passin pass: -noout 2>/dev/null; then good "the key is readable and not encrypted"; else wrong "the key"; fi
stat -c '%a %U:%G' "$key"
holds "the key belongs to the certificate" \
    "$(openssl pkey -in "$key" -passin pass: -pubout)" "$(openssl x509 -in "$cert" -noout -pubkey)"
leaf=$(openssl x509 -in "$cert" -noout -subject -issuer -dates -fingerprint -sha256 -ext subjectAltName 2>/dev/null)
printf '%s\n' "$leaf"
if openssl x509 -in "$cert" -noout -checkend 0 >/dev/null; then good "the certificate is valid today"; else wrong "the certificate has expired"; fi
if openssl x509 -in "$cert" -noout -checkend $((days * 86400)) >/dev/null; then good "and for $days days"; else wrong "the certificate expires soon"; fi

# CA & chain: in order (each one's issuer is the next one's subject), complete, under this CA only
field() { sed -n "s/^$1=//p"; }
chain=$(openssl crl2pkcs7 -nocrl -certfile "$cert" | openssl pkcs7 -print_certs -noout)
broken=$(awk -F '=' '/^subject=/ { sub(/^subject=/, ""); if (issuer != "" && $0 != issuer) print "broken" }
    /^issuer=/ { sub(/^issuer=/, ""); issuer = $0 }' <<<"$chain")
holds "the chain is in order" "$broken" ""
ca_subject=$(openssl x509 -in "$ca" -noout -subject | field subject)
if [ "$(field subject <<<"$leaf")" != "$ca_subject" ]; then good "certificate and CA have different names"; else wrong "same subject as its CA"; fi
for file in "$ca" "$trusted"; do
    if openssl verify -no-CApath -no-CAstore -CAfile "$file" -untrusted "$cert" -purpose sslserver "$cert" >/dev/null 2>&1; then
        good "the certificate holds under $file"
    else
        wrong "the certificate does not hold under $file"
    fi
done

# Encryption: what a client meets
seen=$(openssl s_client -starttls mysql -connect "$host:$port" -no-CApath -no-CAstore -CAfile "$trusted" \
    -verify_ip "$host" -showcerts </dev/null 2>/dev/null)
result=$(sed -n 's/^ *Verify return code: //p;s/^Verification: //p' <<<"$seen" | head -n 1)
case $result in OK | '0 (ok)') good "the handshake verifies" ;; *) wrong "the handshake: ${result:-failed}" ;; esac
holds "the server presents the certificate of its file" \
    "$(openssl x509 -noout -fingerprint -sha256 <<<"$seen" 2>/dev/null)" "$(grep -i fingerprint <<<"$leaf")"
session=$("$client" --defaults-file="$client_cnf" --protocol=tcp --host="$host" --port="$port" --ssl-ca="$trusted" \
    --batch --skip-column-names -e "SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_cipher', 'Ssl_version')" 2>/dev/null)
case $session in *Ssl_cipher*TLS* | *Ssl_cipher*-*) good "a session is encrypted" ;; *) wrong "a session is not encrypted" ;; esac
case ${value[have_ssl]:-YES} in YES) good "have_ssl" ;; *) wrong "have_ssl = ${value[have_ssl]}" ;; esac
case ${value[require_secure_transport]:-} in ON | 1) good "TLS is asked of everybody" ;; *) wrong "require_secure_transport is off" ;; esac

# Accounts
accounts=$(sql "SELECT CONCAT(user, '@', host), ssl_type, CONVERT(x509_issuer USING utf8mb4), CONVERT(x509_subject USING utf8mb4)
    FROM mysql.user WHERE host NOT IN ('localhost', '127.0.0.1', '::1')")
open=$(awk -F '\t' '$2 == "" { print $1 }' <<<"$accounts")
holds "every account from the network asks for TLS" "$open" ""
exit $bad
