# shellcheck shell=bash
# What the scripts share. They are run from anywhere and work in the root of the repository.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# configure DIR OPTION...: a build directory with just these options; nothing to do where it has them already.
configure()
{
    local dir=$1
    shift
    if [ ! -f "$dir/build.ninja" ]; then
        meson setup "$dir" "$@" >"$dir.log" 2>&1 || {
            cat "$dir.log"
            return 1
        }
    elif [ "$*" != "$(cat "$dir/options" 2>/dev/null)" ]; then
        meson configure "$dir" "$@" || return 1
    fi
    rm -f "$dir.log"
    echo "$*" >"$dir/options"
}

# The C sources that are ours, for the checks that read them.
our_sources()
{
    find include src tests fuzz bench examples -name '*.[ch]' | sort
}
