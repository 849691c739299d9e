/* syscall_filter.c - which system calls code in the sandbox may not make.
 *
 * A list of what is refused, not of what is allowed: compilers, interpreters and test
 * frameworks of every language must run, and a call that a new C library begins to use must
 * not break them.  Refused is what reaches the kernel's administration, other namespaces,
 * or parts with a record of privilege escalations.  It stands behind the namespaces and
 * the lack of privileges, which refuse most of this already.
 *
 * Allowed on purpose: ptrace and process_vm_* (leak checkers need them; they reach only
 * processes inside, and the first process cannot be traced), personality (sanitizers turn
 * address randomisation off), nested seccomp filters.
 *
 * clone3 and io_uring pretend not to exist (ENOSYS): programs then use clone, whose flags a
 * filter can see, and poll.
 */
#include "os/syscall_filter.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

enum { TYPE_BITS = 0xf }; /* of a socket's type, without its flags */

static const char *const refused[] = {
    /* mounts and roots */
    "mount", "umount", "umount2", "pivot_root", "chroot", "mount_setattr", "move_mount", "open_tree", "fsopen",
    "fsconfig", "fsmount", "fspick",
    /* namespaces (clone: by its flags, below) */
    "unshare", "setns",
    /* keys: not namespaced */
    "add_key", "request_key", "keyctl",
    /* programs and counters inside the kernel */
    "bpf", "perf_event_open", "userfaultfd", "lookup_dcookie", "fanotify_init",
    /* files by handle: past any mount namespace */
    "open_by_handle_at",
    /* modules, boot, other kernels */
    "init_module", "finit_module", "delete_module", "create_module", "query_module", "get_kernel_syms", "kexec_load",
    "kexec_file_load", "reboot", "_sysctl",
    /* administration */
    "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog", "sethostname", "setdomainname", "vhangup",
    "nfsservctl", "uselib", "sysfs", "ustat",
    /* time */
    "settimeofday", "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex", "stime",
    /* hardware and memory of others */
    "ioperm", "iopl", "vm86", "vm86old", "modify_ldt", "migrate_pages", "move_pages", "pidfd_getfd", "kcmp",
};

static const char *const absent[] = { "clone3", "io_uring_setup", "io_uring_enter", "io_uring_register" };

static const unsigned long namespace_flags[] = {
    CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP,
};

/* libseccomp returns -EDOM or -EINVAL for what this architecture does not have. */
static int refuse_call(scmp_filter_ctx f, const char *name, int how)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR || number < 0)
        return 0;
    return seccomp_rule_add(f, SCMP_ACT_ERRNO((uint32_t)how), number, 0);
}

static int refuse_clone(scmp_filter_ctx f)
{
    for (size_t i = 0; i < sizeof namespace_flags / sizeof *namespace_flags; i++) {
        int code = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                    SCMP_A0(SCMP_CMP_MASKED_EQ, namespace_flags[i], namespace_flags[i]));
        if (code)
            return code;
    }
    return 0;
}

/* The kernel looks at 32 bits of the number, so the filter must too. */
static int refuse_ioctl(scmp_filter_ctx f, unsigned long request)
{
    return seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                            SCMP_A1(SCMP_CMP_MASKED_EQ, 0xFFFFFFFFUL, request));
}

static struct scmp_arg_cmp family_is(enum scmp_compare op, unsigned family)
{
    return (struct scmp_arg_cmp){ .arg = 0, .op = op, .datum_a = family };
}

/* In the host's network namespace the abstract names of its Unix sockets can be reached.  A
 * pair needs no name, and connected streams have no other; but from each end of a datagram
 * pair (or of a raw one, which is the same) one can send to any. */
static int refuse_datagram_pairs(scmp_filter_ctx f)
{
    static const unsigned types[] = { SOCK_DGRAM, SOCK_RAW };
    int code = 0;
    for (size_t i = 0; !code && i < sizeof types / sizeof *types; i++)
        code = seccomp_rule_add(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socketpair), 1,
                                SCMP_A1(SCMP_CMP_MASKED_EQ, TYPE_BITS, types[i]));
    return code;
}

/* Unix, IPv4, IPv6 and routing netlink are what a test needs; the rest (vsock reaches the
 * hypervisor, whatever the network namespace) is refused. */
static int refuse_sockets(scmp_filter_ctx f, bool network)
{
    const uint32_t how = SCMP_ACT_ERRNO(EAFNOSUPPORT);
    int code = seccomp_rule_add(f, how, SCMP_SYS(socket), 1, family_is(SCMP_CMP_GT, AF_NETLINK));
    for (unsigned family = 0; !code && family < AF_NETLINK; family++) {
        bool wanted = family == AF_INET || family == AF_INET6 || (family == AF_UNIX && !network);
        if (!wanted)
            code = seccomp_rule_add(f, how, SCMP_SYS(socket), 1, family_is(SCMP_CMP_EQ, family));
    }
    return code || !network ? code : refuse_datagram_pairs(f);
}

static int add_rules(scmp_filter_ctx f, bool network)
{
    /* Other instruction sets of the same machine (32-bit programs) have no filter of their
     * own: their calls do not exist. */
    int code = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    for (size_t i = 0; !code && i < sizeof refused / sizeof *refused; i++)
        code = refuse_call(f, refused[i], EPERM);
    for (size_t i = 0; !code && i < sizeof absent / sizeof *absent; i++)
        code = refuse_call(f, absent[i], ENOSYS);
    if (!code)
        code = refuse_clone(f);
    if (!code)
        code = refuse_ioctl(f, TIOCSTI);
    if (!code)
        code = refuse_ioctl(f, TIOCLINUX);
    if (!code)
        code = refuse_sockets(f, network);
    return code;
}

int syscall_filter_make(bool network, int *ret_fd, struct err *e)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    if (!f)
        return err_set(e, ERR_UNAVAILABLE, "libseccomp cannot make a filter");
    int code = 0, fd = -1;
    int failure = add_rules(f, network);
    if (failure) {
        code = err_set_errno(e, ERR_UNAVAILABLE, -failure, "libseccomp cannot make the filter");
        goto out;
    }
    fd = memfd_create("seccomp", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    failure = fd < 0 ? -errno : seccomp_export_bpf(f, fd);
    if (failure || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
        code = err_set_errno(e, ERR_UNAVAILABLE, failure ? -failure : errno, "cannot write the filter of system calls");
        goto out;
    }
    *ret_fd = fd;
    fd = -1;
out:
    if (fd >= 0)
        close(fd);
    seccomp_release(f);
    return code;
}
