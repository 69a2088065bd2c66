/*
 * Starting the program, and seeing to it that nothing of it is left behind.
 *
 * Between us and the program stands the keeper: a small process that is the reaper of everything the program starts
 * (PR_SET_CHILD_SUBREAPER). It tells us how the program ended and, by ending itself, that nothing is left. When we
 * vanish, by whatever death, its end of the life pipe closes and it ends all of them.
 *
 * The program installs the filter on itself, tells us the listener's number, and waits: we take the listener with
 * pidfd_getfd. Only read and write are used between the filter and exec: they aren't trapped.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run/run.h"

#define GRACE_MS 2000 /* between SIGTERM and SIGKILL for what the program left behind */

static void tell(int fd, enum wir_launch_kind kind, int pid, int value, const char *step)
{
    struct wir_launch_msg msg = {.kind = kind, .pid = pid, .value = value};
    snprintf(msg.step, sizeof msg.step, "%s", step);
    if (write(fd, &msg, sizeof msg) < 0)
        _exit(127); /* nobody is there to be told */
}

/* ---- The program, until exec ---- */

/* Its output goes where we want it, and it reads nothing. */
static void take_output(int out_fd)
{
    if (out_fd < 0)
        return;
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(nothing, STDIN_FILENO);
    dup2(out_fd, STDOUT_FILENO);
    dup2(out_fd, STDERR_FILENO);
}

_Noreturn static void become_program(const struct wir_run *r, int status_fd, int go_fd)
{
    char go;
    char *const *argv = r->opts->argv;

    take_output(r->out_fd);

    int listener = wir_filter_install();
    if (listener < 0) {
        tell(status_fd, WIR_LAUNCH_FAILED, getpid(), -listener, "seccomp");
        _exit(125);
    }
    tell(status_fd, WIR_LAUNCH_FILTER, getpid(), listener, "");
    if (read(go_fd, &go, 1) != 1)
        _exit(125);
    setrlimit(RLIMIT_NOFILE, &r->before.files);
    sigaction(SIGPIPE, &r->before.pipe, NULL);
    sigprocmask(SIG_SETMASK, &r->before.mask, NULL);
    execvp(argv[0], argv);
    int err = errno;
    tell(status_fd, WIR_LAUNCH_FAILED, getpid(), err, "exec");
    _exit(err == ENOENT ? 127 : 126);
}

/* ---- The keeper ---- */

static void signal_children_of(pid_t parent, int sig)
{
    char path[64], line[512];
    DIR *d = opendir("/proc");
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        pid_t pid = (pid_t)atoi(e->d_name), ppid = 0;
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        FILE *f = pid > 0 ? fopen(path, "re") : NULL;
        if (!f)
            continue;
        char *after_name = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
        if (after_name && sscanf(after_name + 1, " %*c %d", &ppid) == 1 && ppid == parent)
            kill(pid, sig);
        fclose(f);
    }
    closedir(d);
}

/* Reap what has ended. False once there are no children left. */
static bool reap(pid_t program, int status_fd)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0)
            return errno != ECHILD;
        if (pid == 0)
            return true;
        if (pid == program) {
            struct wir_launch_msg msg = {.kind = WIR_LAUNCH_EXITED, .pid = pid, .value = status};
            if (write(status_fd, &msg, sizeof msg) < 0)
                continue; /* the supervisor is gone: the life pipe tells as much */
        }
    }
}

/* Children first get SIGTERM, then SIGKILL; what they leave behind becomes our child and gets it in the next round. */
static void end_all(pid_t program, int status_fd)
{
    struct timespec tick = {.tv_nsec = 20 * 1000 * 1000};
    for (int ms = 0; reap(program, status_fd); ms += 20) {
        if (ms % 200 == 0 || ms >= GRACE_MS)
            signal_children_of(getpid(), ms >= GRACE_MS ? SIGKILL : SIGTERM);
        nanosleep(&tick, NULL);
    }
}

_Noreturn static void become_keeper(pid_t program, int status_fd, int life_fd)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "weir-keeper");
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    int sig_fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
    struct pollfd fds[2] = {{.fd = life_fd, .events = POLLIN}, {.fd = sig_fd, .events = POLLIN}};

    /* Output of the program must reach its end when the program ends, not when we do. */
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    while (reap(program, status_fd)) {
        struct signalfd_siginfo info;
        poll(fds, 2, -1);
        while (read(sig_fd, &info, sizeof info) > 0)
            continue;
        if (fds[0].revents) {
            end_all(program, status_fd);
            break;
        }
    }
    _exit(0);
}

/* Of several programs each keeper has its own descriptors alone: another's life pipe that it held open would never
 * end. */
static void close_others(int a, int b, int c, int d)
{
    DIR *open_ones = opendir("/proc/self/fd");
    int own = open_ones ? dirfd(open_ones) : -1;
    for (struct dirent *e; open_ones && (e = readdir(open_ones));) {
        int fd = atoi(e->d_name);
        if (fd > STDERR_FILENO && fd != a && fd != b && fd != c && fd != d && fd != own)
            close(fd);
    }
    if (open_ones)
        closedir(open_ones);
}

_Noreturn static void keeper_start(const struct wir_run *r, int status_fd, int life_fd, int go_fd)
{
    if (r->out_fd >= 0)
        close_others(status_fd, life_fd, go_fd, r->out_fd);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t program = fork();
    if (program < 0) {
        tell(status_fd, WIR_LAUNCH_FAILED, 0, errno, "fork");
        _exit(125);
    }
    if (program == 0) {
        close(life_fd);
        become_program(r, status_fd, go_fd);
    }
    close(go_fd);
    if (r->out_fd >= 0)
        close(r->out_fd);
    become_keeper(program, status_fd, life_fd);
}

/* ---- Our side ---- */

static int take_listener(struct wir_launch *l, const struct wir_launch_msg *msg)
{
    int process = pidfd_open(msg->pid, 0);
    if (process < 0)
        return -errno;
    l->program = msg->pid;
    l->notify_fd = pidfd_getfd(process, msg->value, 0);
    int err = errno;
    close(process);
    return l->notify_fd < 0 ? -err : 0;
}

static int say_failed(const struct wir_launch_msg *msg)
{
    if (strcmp(msg->step, "seccomp") == 0)
        fprintf(
            stderr,
            "weir run: this kernel can't hand over system calls (seccomp user notification, Linux 5.14 or newer, not "
            "inside another supervisor): %s\n",
            strerror(msg->value));
    else
        fprintf(stderr, "weir run: %s: %s\n", msg->step, strerror(msg->value));
    return -msg->value;
}

/* The first message: the program stands before exec, or could not get there. */
static int await_filter(struct wir_launch *l)
{
    struct wir_launch_msg msg;
    if (read(l->status_fd, &msg, sizeof msg) != sizeof msg) {
        fprintf(stderr, "weir run: the program's process ended before it began\n");
        return -EIO;
    }
    if (msg.kind != WIR_LAUNCH_FILTER)
        return say_failed(&msg);
    int err = take_listener(l, &msg);
    if (err < 0)
        fprintf(stderr, "weir run: can't take the seccomp listener: %s\n", strerror(-err));
    return err;
}

int wir_launch_start(struct wir_run *r)
{
    struct wir_launch *l = &r->launch;
    int status[2], life[2], go[2];

    if (pipe2(status, O_CLOEXEC) < 0 || pipe2(life, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0) {
        fprintf(stderr, "weir run: pipe: %s\n", strerror(errno));
        return -errno;
    }
    l->keeper = fork(); /* the child never flushes what is buffered here: it ends by _exit or exec */
    if (l->keeper < 0) {
        fprintf(stderr, "weir run: fork: %s\n", strerror(errno));
        return -errno;
    }
    if (l->keeper == 0) {
        close(status[0]);
        close(life[1]);
        close(go[1]);
        keeper_start(r, status[1], life[0], go[0]);
    }
    close(status[1]);
    close(life[0]);
    close(go[0]);
    l->status_fd = status[0];
    l->life_fd = life[1];
    l->go_fd = go[1];
    return await_filter(l);
}

void wir_launch_go(struct wir_run *r)
{
    if (write(r->launch.go_fd, "", 1) < 0)
        return; /* it died meanwhile: the keeper tells */
    close(r->launch.go_fd);
    r->launch.go_fd = -1;
}

static void status_ready(struct wir_os_source *source, uint32_t events)
{
    struct wir_run *r = (struct wir_run *)((char *)source - offsetof(struct wir_run, status_source));
    struct wir_launch_msg msg;
    (void)events;

    ssize_t n = read(r->launch.status_fd, &msg, sizeof msg);
    if (n != sizeof msg) { /* the keeper has ended: nothing is left of the program */
        r->keeper_gone = true;
        epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, r->launch.status_fd, NULL);
        return;
    }
    if (msg.kind == WIR_LAUNCH_FAILED) {
        r->start_errno = msg.value;
    } else if (msg.kind == WIR_LAUNCH_EXITED) {
        r->program_ended = true;
        r->wait_status = msg.value;
        /* Ended because somebody wanted it to: then what it leaves behind is to end too. */
        if (r->is_asked_to_end || WIFSIGNALED(msg.value))
            wir_launch_stop(r);
    }
}

int wir_launch_watch(struct wir_run *r)
{
    r->status_source.ready = status_ready;
    return wir_loop_watch(r, r->launch.status_fd, EPOLLIN, &r->status_source);
}

void wir_launch_stop(struct wir_run *r)
{
    if (r->launch.life_fd >= 0)
        close(r->launch.life_fd);
    r->launch.life_fd = -1;
}
