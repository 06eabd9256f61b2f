#!/usr/bin/env bash
# Client certificates as they are made without mytls: three `openssl` commands each, one each, and
# mkcert and easy-rsa where they are installed (MKCERT_BIN and EASYRSA_BIN name them elsewhere). Beside
# it mytls from its command line, with its table read and every file on the disk. $1: a folder to work
# in, $2: mytls.
set -euo pipefail

work=$1
mytls=$2
easyrsa=${EASYRSA_BIN:-/usr/share/easy-rsa/easyrsa}
mkcert=${MKCERT_BIN:-$(command -v mkcert || true)}
cd "$work"
TIMEFORMAT='%U %S %R'

# Runs a function once, and says what one of so many certificates took.
measure() { # title count function
    local title=$1 count=$2
    # what `time` says goes to the file, what the function says to nowhere
    { time "$3" "$count" > out.log 2>&1; } 2> time.log || { cat out.log >&2; exit 1; }
    awk -v title="$title" -v count="$count" '{
        cpu = ($1 + $2) * 1000 / count
        printf "  %-48s %7.2f ms CPU each, %.2f ms by the clock (%d made)\n", title, cpu, $3 * 1000 / count, count
    }' time.log
}

new_ca() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=Loop CA' \
        -keyout loop-ca-key.pem -out loop-ca.pem 2> /dev/null
    printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n' > client.ext
}

three_commands() {
    for ((n = 0; n < $1; n++)); do
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "three-$n-key.pem"
        openssl req -new -key "three-$n-key.pem" -subj "/O=Loop CA/CN=app$n" -out "three-$n.csr"
        openssl x509 -req -in "three-$n.csr" -CA loop-ca.pem -CAkey loop-ca-key.pem -days 397 \
            -extfile client.ext -out "three-$n-cert.pem"
    done
}

one_command() {
    for ((n = 0; n < $1; n++)); do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 397 \
            -subj "/O=Loop CA/CN=app$n" -CA loop-ca.pem -CAkey loop-ca-key.pem \
            -addext extendedKeyUsage=clientAuth -keyout "one-$n-key.pem" -out "one-$n-cert.pem"
    done
}

easy_rsa() {
    export EASYRSA_PKI=$work/pki EASYRSA_BATCH=1 EASYRSA_ALGO=ec EASYRSA_CURVE=prime256v1
    for ((n = 0; n < $1; n++)); do
        "$easyrsa" build-client-full "app$n" nopass
    done
}

# Makes a CA of its own with the first; it is not installed anywhere.
mk_cert() {
    export CAROOT=$work/mkcert-ca
    mkdir -p "$CAROOT"
    for ((n = 0; n < $1; n++)); do
        "$mkcert" -client -ecdsa -cert-file "mk-$n-cert.pem" -key-file "mk-$n-key.pem" "app$n"
    done
}

batch() {
    "$mytls" ca client --ca-dir mytls-ca --from accounts.csv
}

echo
echo "client certificates, EC P-256, from the command line"
"$mytls" ca create --ca-dir mytls-ca --name 'Example CA' --no-passphrase > /dev/null
seq -f 'app%g' 1000 > accounts.csv
measure "mytls ca client --from, files and list on the disk" 1000 batch
new_ca
measure "one openssl command each" 100 one_command
measure "three openssl commands each" 100 three_commands
if [ -x "$mkcert" ]; then
    mk_cert 1 > mkcert.log 2>&1 || { cat mkcert.log >&2; exit 1; }
    measure "mkcert (all with the same subject)" 100 mk_cert
else
    echo "  mkcert is not installed: apt-get install mkcert, or MKCERT_BIN=PATH"
fi
if [ -x "$easyrsa" ]; then
    (
        export EASYRSA_PKI=$work/pki EASYRSA_BATCH=1 EASYRSA_ALGO=ec EASYRSA_CURVE=prime256v1
        "$easyrsa" init-pki && EASYRSA_REQ_CN='Easy CA' "$easyrsa" build-ca nopass
    ) > easy.log 2>&1 || { cat easy.log >&2; exit 1; }
    measure "easy-rsa" 20 easy_rsa
else
    echo "  easy-rsa is not installed: apt-get install easy-rsa, or EASYRSA_BIN=PATH"
fi

# the lists of 10,000, as cron and people read them
seq -f 'more%g' 9000 > accounts.csv
batch > /dev/null
list() { "$mytls" ca list --ca-dir mytls-ca; }
watch() { "$mytls" ca watch --ca-dir mytls-ca; }
for command in list watch; do
    { time "$command" > out.log; } 2> time.log
    awk -v what="mytls ca $command of 10,000" \
        '{ printf "  %-48s %7.1f ms CPU, %.1f ms by the clock\n", what, ($1 + $2) * 1000, $3 * 1000 }' time.log
done
