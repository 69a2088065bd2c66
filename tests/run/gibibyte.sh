# timeout: 180
# A download of 1 GiB.
. "$TESTS/lib.sh"
need curl python3
mkdir www
truncate -s 1G www/file
printf start | dd of=www/file conv=notrunc status=none
printf end | dd of=www/file bs=1 seek=$(((1 << 30) - 3)) conv=notrunc status=none
serve www
got=$(run -- curl -sS "http://127.0.0.1:$port/file" | sha256sum)
equal SHA-256 "$got" "$(sha256sum <www/file)"
