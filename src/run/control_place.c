/* Where control sockets lie. The directory is looked at by its descriptor, so that nobody can change it in between. */
#include "run/control_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory of ours in a parent that others can't rename it in. */
static bool is_own_parent(const char *path)
{
    struct stat st;
    return *path == '/' && stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static int open_dir(const char *path, bool is_made)
{
    struct stat st;
    if (is_made && mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ELOOP || errno == ENOTDIR ? -EPERM : -errno;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & (S_IRWXG | S_IRWXO)))
        return fd;
    close(fd);
    return -EPERM;
}

int wir_control_dir(bool is_made, char *path, size_t cap)
{
    const char *parent = getenv("XDG_RUNTIME_DIR");
    int n = parent && is_own_parent(parent) ? snprintf(path, cap, "%s/weir", parent)
                                            : snprintf(path, cap, "/tmp/weir-%lu", (unsigned long)geteuid());
    return n < (int)cap ? open_dir(path, is_made) : -ENAMETOOLONG;
}

socklen_t wir_control_addr(int dir, const char *name, struct sockaddr_un *un)
{
    memset(un, 0, sizeof *un);
    un->sun_family = AF_UNIX;
    snprintf(un->sun_path, sizeof un->sun_path, "/proc/self/fd/%d/%s", dir, name);
    return sizeof *un;
}

socklen_t wir_control_path_addr(const char *path, struct sockaddr_un *un)
{
    memset(un, 0, sizeof *un);
    un->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof un->sun_path)
        return 0;
    memcpy(un->sun_path, path, strlen(path));
    return sizeof *un;
}
