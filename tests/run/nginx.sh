# nginx with several workers: clients inside, and from the host through -p.
. "$TESTS/lib.sh"
need nginx curl python3
mkdir www tmp
blob www/file 2000000
chmod -R a+rX .
cat >nginx.conf <<C
daemon off; worker_processes 3; pid $PWD/nginx.pid; error_log $PWD/error.log;
events { worker_connections 200; }
http { access_log off; client_body_temp_path $PWD/tmp; proxy_temp_path $PWD/tmp; fastcgi_temp_path $PWD/tmp;
       uwsgi_temp_path $PWD/tmp; scgi_temp_path $PWD/tmp;
       server { listen 4090; location / { root $PWD/www; } } }
C
nginx=$(command -v nginx)
p=$(free_port)
"$WEIR" run -q -p "$p:4090" -- "$nginx" -c "$PWD/nginx.conf" &
server=$!
until_true 10 curl -sf -o /dev/null "http://127.0.0.1:$p/file"
pids=()
for i in 1 2 3 4 5 6 7 8; do
    curl -sS -o "got$i" "http://127.0.0.1:$p/file" &
    pids+=($!)
done
for pid in "${pids[@]}"; do
    wait "$pid" || fail "a client through -p: exit $?"
done
for i in 1 2 3 4 5 6 7 8; do
    same "got$i" www/file
done
kill $server
wait $server

run -- sh -c "$nginx -c $PWD/nginx.conf & s=\$!; sleep 1; curl -sS -o inside http://127.0.0.1:4090/file; e=\$?; kill \$s; wait \$s; exit \$e" ||
    fail "inside: exit $?"
same inside www/file
