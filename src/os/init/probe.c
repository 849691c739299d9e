/* probe.c - attempts to get out of the sandbox, made from inside by code of ours.
 *
 * Every attempt must fail, and what a test needs must work.  Each row is a trap that was
 * met: a filter that was not loaded, a mount that stayed writable, an environment that
 * could be read.  No shell and no tools are needed inside.
 */
#include "os/init/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { VSOCK_FAMILY = 40, TEXT_MAX = 65536 };

static char **given;
static char detail[256]; /* of the attempt under way; "": it went as it should */

__attribute__((format(printf, 1, 2))) static void wrong(const char *fmt, ...)
{
    if (detail[0])
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
}

/* For an attempt that returned `result`, which should have been refused. */
static void must_fail(long result, const char *what)
{
    if (result >= 0)
        wrong("%s works", what);
}

/* Must have been refused by the filter, whatever else would have refused it. */
static void must_be_filtered(long result, const char *what)
{
    if (result >= 0 || (errno != EPERM && errno != ENOSYS))
        wrong("%s is not filtered (%s)", what, result >= 0 ? "it works" : strerrordesc_np(errno));
}

static const char *read_text(const char *path)
{
    static char text[TEXT_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    for (ssize_t i = 0; i < n; i++)
        if (!text[i])
            text[i] = '\n';
    return text;
}

static bool status_has(const char *text, const char *name, const char *value)
{
    const char *p = strstr(text, name);
    if (!p)
        return false;
    p += strlen(name);
    p += strspn(p, ":\t ");
    return strncmp(p, value, strlen(value)) == 0;
}

/* ---- who we are ---- */

static void privileges(void)
{
    const char *text = read_text("/proc/self/status");
    if (!text) {
        wrong("/proc/self/status cannot be read");
        return;
    }
    static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapAmb" };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (!status_has(text, sets[i], "0000000000000000"))
            wrong("%s is not empty", sets[i]);
    if (!status_has(text, "NoNewPrivs", "1"))
        wrong("set-user-ID programs are honoured");
    if (!status_has(text, "Seccomp", "2"))
        wrong("no filter of system calls is loaded");
    if (getuid() == 0 || geteuid() == 0 || getgid() == 0)
        wrong("it runs as root");
    must_fail(setuid(0), "becoming root");
}

static void environment(void)
{
    size_t len = strlen(given[PROBE_VARIABLE]);
    for (char **p = environ; *p; p++)
        if (strncmp(*p, given[PROBE_VARIABLE], len) == 0)
            wrong("the server's environment is ours");
    char line[256];
    snprintf(line, sizeof line, "\n%s", given[PROBE_VARIABLE]);
    DIR *dir = opendir("/proc");
    for (struct dirent *d; dir && (d = readdir(dir));) {
        char path[300];
        snprintf(path, sizeof path, "/proc/%s/environ", d->d_name);
        const char *text = d->d_name[0] >= '0' && d->d_name[0] <= '9' ? read_text(path) : NULL;
        if (text && (strncmp(text, given[PROBE_VARIABLE], len) == 0 || strstr(text, line)))
            wrong("%s holds the server's environment", path);
    }
    if (dir)
        closedir(dir);
}

static void descriptors(void)
{
    for (int fd = 0; fd < 4096; fd++)
        if (fd > 2 && fcntl(fd, F_GETFD) >= 0)
            wrong("descriptor %d was inherited", fd);
    if (fcntl(0, F_GETFD) < 0 || fcntl(1, F_GETFD) < 0 || fcntl(2, F_GETFD) < 0)
        wrong("a standard descriptor is missing");
}

static void terminal(void)
{
    must_fail(open("/dev/tty", O_RDWR | O_CLOEXEC), "opening the terminal");
    char c = '\n';
    must_be_filtered(ioctl(0, TIOCSTI, &c), "typing into the terminal (TIOCSTI)");
}

/* ---- other processes ---- */

static void processes(void)
{
    int seen = 0;
    DIR *dir = opendir("/proc");
    for (struct dirent *d; dir && (d = readdir(dir));)
        seen += d->d_name[0] >= '0' && d->d_name[0] <= '9';
    if (dir)
        closedir(dir);
    if (seen != 2)
        wrong("%d processes are seen instead of two", seen);
    if (getppid() != 1)
        wrong("the parent is process %ld", (long)getppid());
    if (kill((pid_t)strtol(given[PROBE_HOST_PID], NULL, 10), 0) == 0 || errno != ESRCH)
        wrong("a process outside can be signalled");
}

/* Seizing is allowed as attaching is, and does not stop a process that is not hidden. */
static void tracing(void)
{
    must_fail(ptrace(PTRACE_SEIZE, 1, NULL, NULL), "tracing the first process");
    must_fail(open("/proc/1/mem", O_RDWR | O_CLOEXEC), "opening the first process's memory");
    must_fail(ptrace(PTRACE_SEIZE, (pid_t)strtol(given[PROBE_HOST_PID], NULL, 10), NULL, NULL),
              "tracing a process outside");
}

/* ---- files ---- */

static void writing_outside(void)
{
    static const char *const places[] = {
        "/", "/usr", "/usr/bin", "/usr/local", "/etc", "/etc/alternatives", "/dev", "/proc", "/proc/sys", "/sys",
        "/var", "/var/tmp/..", "/run", "/opt", "/root", "/home", "/bin", "/lib", "/boot", "/work/..", "/out/..", "/mnt",
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/.tandem-probe", places[i]);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0) {
            wrong("%s can be written", places[i]);
            close(fd);
            unlink(path);
        }
    }
    static const char *const files[] = {
        "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory",
        "/proc/sys/fs/file-max", "/proc/sysrq-trigger", "/proc/self/oom_score_adj", "/etc/passwd",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        must_fail(open(files[i], O_WRONLY | O_CLOEXEC), files[i]);
    must_fail(chmod("/usr/bin", 0777), "chmod of /usr/bin");
}

static void must_be_readonly(const char *path)
{
    struct statvfs v;
    if (statvfs(path, &v) != 0)
        wrong("%s cannot be looked at", path);
    else if (!(v.f_flag & ST_RDONLY))
        wrong("%s is not mounted read-only", path);
}

static void readonly_mounts(void)
{
    static const char *const places[] = { "/", "/usr", "/etc", "/dev", "/proc" };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        must_be_readonly(places[i]);
    struct statvfs v;
    if (statvfs("/work", &v) != 0 || !(v.f_flag & ST_NOSUID))
        wrong("set-user-ID programs in /work are honoured");
}

static void must_be_small(const char *path, unsigned long long most)
{
    struct statvfs v;
    if (statvfs(path, &v) != 0)
        wrong("%s cannot be looked at", path);
    else if ((unsigned long long)v.f_blocks * v.f_frsize > most)
        wrong("%s holds %llu bytes, more than %llu", path, (unsigned long long)v.f_blocks * v.f_frsize, most);
}

static void sizes(void)
{
    unsigned long long most = strtoull(given[PROBE_TMP_BYTES], NULL, 10);
    must_be_small("/tmp", most);
    must_be_small("/dev/shm", most);
}

static void host_files(void)
{
    static const char *const hidden[] = {
        "/etc/shadow", "/etc/ssh", "/root", "/home", "/sys/kernel", "/run/systemd", "/run/dbus", "/var/run/docker.sock",
        "/boot", "/srv", "/dev/sda", "/dev/vda", "/dev/kmsg", "/dev/mem", "/dev/fuse", "/dev/kvm", "/lost+found",
    };
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (access(hidden[i], F_OK) == 0)
            wrong("%s is seen", hidden[i]);
    if (access(given[PROBE_SCRATCH], F_OK) == 0)
        wrong("the host's %s is seen", given[PROBE_SCRATCH]);
}

/* ---- the network ---- */

static void network(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)strtoul(given[PROBE_HOST_PORT], NULL, 10)) };
    must_fail(connect(fd, (struct sockaddr *)&to, sizeof to), "connecting to the host's loopback");
    close(fd);
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "%s", given[PROBE_HOST_SOCKET]);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(given[PROBE_HOST_SOCKET]));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must_fail(connect(fd, (struct sockaddr *)&name, len), "connecting to a socket of the host");
    close(fd);
    must_fail(socket(VSOCK_FAMILY, SOCK_STREAM, 0), "a socket to the hypervisor");
    must_fail(socket(AF_PACKET, SOCK_RAW, 0), "a packet socket");
    must_fail(socket(AF_ALG, SOCK_SEQPACKET, 0), "a socket to the kernel's ciphers");
    const char *text = read_text("/proc/net/dev");
    int lines = 0;
    for (const char *p = text; p && (p = strchr(p, '\n')); p++)
        lines++;
    if (lines != 3) /* two of headings, and lo */
        wrong("there are network interfaces besides lo");
}

/* ---- the kernel ---- */

static void namespaces(void)
{
    must_be_filtered(unshare(CLONE_NEWUSER), "a new user namespace");
    must_be_filtered(unshare(CLONE_NEWNS), "a new mount namespace");
    must_be_filtered(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL), "clone with a new user namespace");
    must_be_filtered(syscall(SYS_clone3, NULL, (size_t)0), "clone3");
    int fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
    must_be_filtered(setns(fd, 0), "entering a namespace");
    close(fd);
}

static void mounts(void)
{
    must_be_filtered(mount("none", "/tmp", "tmpfs", 0, NULL), "mounting");
    must_be_filtered(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL), "remounting");
    must_be_filtered(umount2("/proc", MNT_DETACH), "unmounting");
    must_be_filtered(chroot("/tmp"), "chroot");
    must_be_filtered(syscall(SYS_pivot_root, "/tmp", "/tmp"), "pivot_root");
    must_be_filtered(syscall(SYS_fsopen, "tmpfs", 0), "fsopen");
    must_be_filtered(syscall(SYS_open_tree, AT_FDCWD, "/", 1), "open_tree");
    must_fail(mknod("/tmp/.tandem-probe", S_IFCHR | 0600, 0x0101), "making a device");
}

static void kernel_interfaces(void)
{
    must_be_filtered(syscall(SYS_keyctl, 0, -3, 0, 0, 0), "keyctl");
    must_be_filtered(syscall(SYS_add_key, "user", "x", "x", 1, -3), "add_key");
    must_be_filtered(syscall(SYS_bpf, 0, NULL, 0), "bpf");
    must_be_filtered(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0), "perf_event_open");
    must_be_filtered(syscall(SYS_userfaultfd, 0), "userfaultfd");
    must_be_filtered(syscall(SYS_io_uring_setup, 1, NULL), "io_uring");
    must_be_filtered(syscall(SYS_init_module, NULL, 0, ""), "loading a module");
    must_be_filtered(syscall(SYS_kexec_load, 0, 0, NULL, 0), "kexec");
    must_be_filtered(syscall(SYS_reboot, 0, 0, 0, NULL), "reboot");
    must_be_filtered(syscall(SYS_open_by_handle_at, -1, NULL, 0), "open_by_handle_at");
    must_be_filtered(syscall(SYS_syslog, 2, NULL, 0), "reading the kernel's log");
    must_be_filtered(syscall(SYS_swapon, "", 0), "swapon");
    must_be_filtered(syscall(SYS_settimeofday, NULL, NULL), "setting the clock");
}

static void must_have_limit(int resource, const char *name)
{
    struct rlimit r;
    if (syscall(SYS_prlimit64, 0, resource, NULL, &r) != 0 || r.rlim_max == RLIM_INFINITY)
        wrong("%s is not limited", name);
}

static void limits(void)
{
    must_have_limit(RLIMIT_CORE, "the size of core files");
    must_have_limit(RLIMIT_NPROC, "the number of processes");
    must_have_limit(RLIMIT_FSIZE, "the size of files");
    must_have_limit(RLIMIT_NOFILE, "the number of descriptors");
    must_have_limit(RLIMIT_CPU, "processor time");
}

/* ---- what must work ---- */

static void must_be_writable(const char *dir)
{
    char path[64];
    snprintf(path, sizeof path, "%s/.tandem-probe", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, "x", 1) != 1)
        wrong("%s cannot be written: %s", dir, strerrordesc_np(errno));
    if (fd >= 0)
        close(fd);
    unlink(path);
}

static void what_tests_need(void)
{
    must_be_writable("/work");
    must_be_writable("/out");
    must_be_writable("/tmp");
    must_be_writable("/dev/shm");
    char byte;
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, &byte, 1) != 1)
        wrong("/dev/urandom cannot be read");
    close(fd);
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || write(fd, "x", 1) != 1)
        wrong("/dev/null cannot be written");
    close(fd);
    fd = open("/dev/stderr", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        wrong("/dev/stderr cannot be opened");
    close(fd);
    if (access("/bin/sh", X_OK) != 0)
        wrong("there is no /bin/sh");
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 7)
        wrong("no process can be started");
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof any;
    int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&any, len) != 0 || listen(fd, 1) != 0
        || getsockname(fd, (struct sockaddr *)&any, &len) != 0 || connect(to, (struct sockaddr *)&any, len) != 0)
        wrong("the loopback of its own does not work");
    close(fd);
    close(to);
}

static const struct {
    const char *name;
    void (*attempt)(void);
} attempts[] = {
    { "no privileges", privileges },
    { "the server's environment is hidden", environment },
    { "no descriptor is inherited", descriptors }, /* before others open some */
    { "no terminal", terminal },
    { "processes outside are hidden", processes },
    { "processes outside cannot be traced", tracing },
    { "nothing outside can be written", writing_outside },
    { "system mounts are read-only", readonly_mounts },
    { "temporary file systems are sized", sizes },
    { "the host's private files are hidden", host_files },
    { "no network", network },
    { "no new namespaces", namespaces },
    { "no mounts", mounts },
    { "no dangerous kernel interfaces", kernel_interfaces },
    { "limits are set", limits },
    { "what tests need works", what_tests_need },
};

int probe(char **args)
{
    given = args;
    for (int i = 0; i < PROBE_ARGS; i++)
        if (!args[i])
            return 64;
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        detail[0] = '\0';
        attempts[i].attempt();
        char line[512];
        int len = detail[0] ? snprintf(line, sizeof line, "FAIL %s: %s\n", attempts[i].name, detail)
                            : snprintf(line, sizeof line, "ok %s\n", attempts[i].name);
        if (write(1, line, (size_t)len) != len)
            return 1;
    }
    return 0;
}
