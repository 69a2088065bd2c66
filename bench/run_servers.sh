#!/usr/bin/env bash
# Servers bare and the same servers under weir run -p, over a clean link, asked in turn by the same client on the host:
# requests a second of redis-benchmark and wrk, the median of ROUNDS (5) with the lowest and the highest.
#
# A run that the client calls failed, or that got an answer other than 200, ends it all.
set -u
PATH=$PATH:/usr/sbin:/sbin
ROUNDS=${ROUNDS:-5}
for need in redis-server redis-benchmark redis-cli nginx wrk python3; do
    command -v $need >/dev/null || {
        echo "skip: $need is not installed"
        exit 0
    }
done
here=$(dirname "$0")
dir=$(mktemp -d)
pids=()
# shellcheck disable=SC2329 # the trap calls it
clean()
{
    kill "${pids[@]}" 2>/dev/null
    wait "${pids[@]}" 2>/dev/null
    rm -rf "$dir"
}
trap clean EXIT

die()
{
    echo "run_servers: $*" >&2
    exit 1
}

# Ports that nobody has, while all four are held; not of those that clients are given, which wrk uses up.
read -r redis_bare redis_weir nginx_bare nginx_weir < <(python3 - <<'P'
import random, socket
first = int(open("/proc/sys/net/ipv4/ip_local_port_range").read().split()[0])
held = []
for port in random.sample(range(first // 2, first), first - first // 2):
    try:
        held.append(socket.create_server(("127.0.0.1", port)))
    except OSError:
        continue
    if len(held) == 4:
        break
print(*(s.getsockname()[1] for s in held))
P
)

# conf PORT: an nginx of one process that answers with a kilobyte.
conf()
{
    cat >"$dir/$1.conf" <<C
daemon off; master_process off; pid $dir/$1.pid; error_log $dir/error.log;
events { worker_connections 1000; }
http { access_log off; keepalive_requests 1000000000;
       client_body_temp_path $dir; proxy_temp_path $dir; fastcgi_temp_path $dir; uwsgi_temp_path $dir; scgi_temp_path $dir;
       server { listen $1; location / { return 200 "$(head -c 1024 /dev/zero | tr '\0' x)"; } } }
C
    echo "$dir/$1.conf"
}

redis=(redis-server --save '' --appendonly no --daemonize no --protected-mode no --logfile "$dir/redis.log")
"${redis[@]}" --port "$redis_bare" &
pids+=($!)
"$WEIR" run -q -p "$redis_weir:$redis_weir" -- "${redis[@]}" --port "$redis_weir" &
pids+=($!)
nginx -e "$dir/error.log" -c "$(conf "$nginx_bare")" &
pids+=($!)
"$WEIR" run -q -p "$nginx_weir:$nginx_weir" -- nginx -e "$dir/error.log" -c "$(conf "$nginx_weir")" &
pids+=($!)

# answers PORT: until somebody listens there.
answers()
{
    for _ in {1..200}; do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.05
    done
    die "nobody listens at port $1: $(cat "$dir"/*.log)"
}
for port in $redis_bare $redis_weir $nginx_bare $nginx_weir; do
    answers "$port"
done

# ask_redis PORT [OPTION...]
ask_redis()
{
    local port=$1
    shift
    redis-benchmark -p "$port" -c 50 -t get --csv "$@" 2>/dev/null | awk -F '"' '$2 == "GET" { print $4 }'
}

# ask_nginx PORT [OPTION...]
ask_nginx()
{
    local port=$1
    shift
    wrk -t 1 -c 50 -d 2s "$@" "http://127.0.0.1:$port/" >"$dir/wrk" || return
    ! grep -E 'Non-2xx|Socket errors' "$dir/wrk" >&2 && awk '/^Requests\/sec/ { print $2 }' "$dir/wrk"
}

# row NAME BARE-PORT WEIR-PORT COMMAND [OPTION...]: the two in turn.
row()
{
    local name=$1 bare=$2 under=$3 command=$4 a b
    shift 4
    : >"$dir/pairs"
    for ((i = 0; i < ROUNDS; i++)); do
        a=$("$command" "$bare" "$@") && b=$("$command" "$under" "$@") || die "$name: the client failed"
        [ "$a" ] && [ "$b" ] || die "$name: the client did not finish"
        echo "$a $b" >>"$dir/pairs"
    done
    awk -f "$here/pairs.awk" "$dir/pairs" |
        awk -v name="$name" '{ printf "%-34s %9.0f %9.0f   %5.2f (%.2f-%.2f)\n", name, $1, $2, $3, $4, $5 }'
}

printf '%-34s %9s %9s   %s\n' 'requests a second, 50 connections' bare weir ratio
row 'redis GET' "$redis_bare" "$redis_weir" ask_redis -n 50000
row 'redis GET, pipeline of 16' "$redis_bare" "$redis_weir" ask_redis -P 16 -n 400000
row 'nginx, kept alive' "$nginx_bare" "$nginx_weir" ask_nginx
row 'nginx, a connection each' "$nginx_bare" "$nginx_weir" ask_nginx -H 'Connection: close'
