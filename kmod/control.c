// SPDX-License-Identifier: GPL-2.0-or-later
/* The control node /dev/hcp and its ioctls; see hcp_ioctl.h. */
#include <linux/capability.h>
#include <linux/ctype.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "control.h"
#include "create.h"
#include "event.h"
#include "info.h"
#include "origin.h"
#include "snapshot.h"

DEFINE_MUTEX(hcp_control_lock);

/*
 * Creation and removal, taken before hcp_control_lock.  While filesystems are being frozen
 * creation lets that go: what is written back then may need a store to grow.
 */
static DEFINE_MUTEX(change_lock);

/* What every argument but that of HCP_IOC_VERSION begins with. */
struct hcp_ioc_head {
	__u32 size;
	__u32 abi;
};

static int check_head(const void *arg, size_t size)
{
	const struct hcp_ioc_head *head = arg;

	if (head->size != size)
		return -EINVAL;
	return head->abi == HCP_ABI_VERSION ? 0 : -EPROTO;
}

static long control_version(void __user *user)
{
	struct hcp_ioc_version arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	if (arg.size != sizeof(arg))
		return -EINVAL;
	memset(&arg, 0, sizeof(arg));
	arg.size = sizeof(arg);
	arg.abi = HCP_ABI_VERSION;
	strscpy(arg.version, HCP_VERSION, sizeof(arg.version));
	return copy_to_user(user, &arg, sizeof(arg)) ? -EFAULT : 0;
}

/* The reason why a call failed, besides its errno. */
static void set_reason(char *to, const char *reason)
{
	memset(to, 0, HCP_REASON_LEN);
	if (reason)
		strscpy(to, reason, HCP_REASON_LEN);
}

/* The hot copy of this number, or NULL. */
static struct hcp_snap *find_snap(unsigned int minor)
{
	struct hcp_snap *snap = hcp_snap_next(minor);

	return snap && snap->minor == minor ? snap : NULL;
}

static long control_create(struct hcp_ioc_create *arg)
{
	const char *reason = NULL;
	int err;

	if (memchr_inv(arg->reserved, 0, sizeof(arg->reserved)))
		return -EINVAL;
	err = hcp_create(arg, &reason);
	set_reason(arg->reason, reason);
	return err;
}

static long control_remove(struct hcp_ioc_remove *arg)
{
	const char *reason = NULL;
	struct hcp_snap *snap;
	int err;

	if (arg->reserved)
		return -EINVAL;
	snap = find_snap(arg->minor);
	err = snap ? hcp_snap_remove(snap, &reason) : -ENXIO;
	set_reason(arg->reason, reason);
	return err;
}

static long control_next(struct hcp_ioc_info *arg)
{
	struct hcp_snap *snap = hcp_snap_next(arg->minor);

	if (!snap)
		return -ENXIO;
	memset(arg, 0, sizeof(*arg));
	arg->size = sizeof(*arg);
	arg->abi = HCP_ABI_VERSION;
	hcp_snap_info(snap, arg);
	return 0;
}

static long control_store(struct hcp_ioc_store *arg)
{
	struct hcp_snap *snap = find_snap(arg->minor);

	return snap ? hcp_info_store(snap, arg) : -ENXIO;
}

static long control_free(struct hcp_ioc_free *arg)
{
	struct hcp_snap *snap = find_snap(arg->minor);
	const char *reason = NULL;
	int err;

	err = snap ? hcp_snap_set_free(snap, arg, &reason) : -ENXIO;
	set_reason(arg->reason, reason);
	return err;
}

static long control_grow(struct hcp_ioc_grow *arg)
{
	struct hcp_snap *snap = find_snap(arg->minor);
	const char *reason = NULL;
	int err;

	if (arg->reserved)
		return -EINVAL;
	err = snap ? hcp_origin_grow(snap->origin, arg, &reason) : -ENXIO;
	set_reason(arg->reason, reason);
	return err;
}

/* One line, for the kernel log. */
static bool is_line(const char *text, size_t size)
{
	size_t length = strnlen(text, size), i;

	for (i = 0; i < length; i++)
		if (iscntrl(text[i]))
			return false;
	return length && length < size;
}

static long control_end(struct hcp_ioc_end *arg)
{
	struct hcp_snap *snap = find_snap(arg->minor);

	if ((arg->state != HCP_STATE_OVERFLOW && arg->state != HCP_STATE_FAILED) ||
	    !is_line(arg->reason, sizeof(arg->reason)))
		return -EINVAL;
	if (!snap)
		return -ENXIO;
	/* It has ended: the origin may have others by now, which are not meant. */
	if (!hcp_snap_is_active(snap))
		return -ESTALE;
	hcp_origin_fail(snap->origin, arg->state, arg->reason);
	return 0;
}

/* hcp_control_lock is held. */
static long control_locked(unsigned int cmd, void *arg)
{
	switch (cmd) {
	case HCP_IOC_CREATE:
		return control_create(arg);
	case HCP_IOC_REMOVE:
		return control_remove(arg);
	case HCP_IOC_NEXT:
		return control_next(arg);
	case HCP_IOC_STORE:
		return control_store(arg);
	case HCP_IOC_FREE:
		return control_free(arg);
	case HCP_IOC_GROW:
		return control_grow(arg);
	case HCP_IOC_END:
		return control_end(arg);
	}
	return -ENOTTY;
}

static long control_lock_and_do(unsigned int cmd, void *arg)
{
	bool change = cmd == HCP_IOC_CREATE || cmd == HCP_IOC_REMOVE;
	unsigned int noio;
	long err;

	if (change && mutex_lock_killable(&change_lock))
		return -EINTR;
	err = mutex_lock_killable(&hcp_control_lock);
	if (!err) {
		/*
		 * Creation may wait for the lock with filesystems frozen, writes held; and
		 * what memory is waited for may wait for a store to grow.
		 */
		noio = memalloc_noio_save();
		err = control_locked(cmd, arg);
		memalloc_noio_restore(noio);
		mutex_unlock(&hcp_control_lock);
	}
	if (change)
		mutex_unlock(&change_lock);
	return err;
}

static long changed_locked(struct hcp_ioc_changed *arg, struct hcp_ioc_extent *extent)
{
	struct hcp_snap *snap = find_snap(arg->minor), *until = NULL;
	const char *reason = NULL;
	int err = -ENXIO;

	if (arg->until)
		until = find_snap(arg->until);
	if (snap && (until || !arg->until))
		err = hcp_info_changed(snap, until, arg, extent, &reason);
	set_reason(arg->reason, reason);
	return err;
}

/* User memory is written without the lock: it may be a file of what is being frozen. */
static long control_changed(struct hcp_ioc_changed *arg)
{
	struct hcp_ioc_extent *extent;
	unsigned int noio;
	long err;

	if (arg->room > HCP_MAX_EXTENTS)
		return -EINVAL;
	extent = kvmalloc_array(arg->room, sizeof(*extent), GFP_KERNEL);
	if (!extent)
		return -ENOMEM;
	err = mutex_lock_killable(&hcp_control_lock);
	if (err)
		goto out;
	noio = memalloc_noio_save();
	err = changed_locked(arg, extent);
	memalloc_noio_restore(noio);
	mutex_unlock(&hcp_control_lock);
	if (!err && copy_to_user(u64_to_user_ptr(arg->extents), extent,
				 arg->nr * sizeof(*extent)))
		err = -EFAULT;
out:
	kvfree(extent);
	return err;
}

static bool is_known(unsigned int cmd)
{
	switch (cmd) {
	case HCP_IOC_CREATE:
	case HCP_IOC_REMOVE:
	case HCP_IOC_NEXT:
	case HCP_IOC_STORE:
	case HCP_IOC_FREE:
	case HCP_IOC_GROW:
	case HCP_IOC_END:
	case HCP_IOC_WAIT:
	case HCP_IOC_CHANGED:
		return true;
	}
	return false;
}

/* Every argument goes in and out, also when the call fails: it carries the reason. */
static long control_ioctl(struct file *file, unsigned int cmd, unsigned long user)
{
	void __user *argp = (void __user *)user;
	size_t size = _IOC_SIZE(cmd);
	void *arg;
	long err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (cmd == HCP_IOC_VERSION)
		return control_version(argp);
	if (!is_known(cmd))
		return -ENOTTY;

	arg = memdup_user(argp, size);
	if (IS_ERR(arg))
		return PTR_ERR(arg);
	err = check_head(arg, size);
	if (err)
		goto out;
	if (cmd == HCP_IOC_WAIT)
		err = hcp_event_wait(file, arg);
	else if (cmd == HCP_IOC_CHANGED)
		err = control_changed(arg);
	else
		err = control_lock_and_do(cmd, arg);
	if (copy_to_user(argp, arg, size) && !err)
		err = -EFAULT;
out:
	kfree(arg);
	return err;
}

static int control_open(struct inode *inode, struct file *file)
{
	return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static int control_release(struct inode *inode, struct file *file)
{
	hcp_event_release(file);
	return 0;
}

static const struct file_operations control_ops = {
	.owner = THIS_MODULE,
	.open = control_open,
	.release = control_release,
	.unlocked_ioctl = control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice control_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = HCP_CONTROL_NAME,
	.fops = &control_ops,
	.mode = 0600,
};

int hcp_control_init(void)
{
	return misc_register(&control_device);
}

void hcp_control_exit(void)
{
	misc_deregister(&control_device);
}
