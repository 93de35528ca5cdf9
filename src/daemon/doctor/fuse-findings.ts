/** Whether this person can mount here. Pure. */
import { type Finding, findingsOf } from './finding.ts';

export interface FuseFacts {
  readonly platform: NodeJS.Platform;
  readonly euid: number;
  /** Undefined: there is none. */
  readonly device: DeviceFacts | undefined;
  /** Why the addon does not load. */
  readonly addonTrouble?: string;
  /** fusermount3; undefined: there is none. */
  readonly helper: HelperFacts | undefined;
  /** No program that is started gains rights (prctl(2), PR_SET_NO_NEW_PRIVS). */
  readonly noNewPrivs: boolean;
  /** CAP_SYS_ADMIN is effective. */
  readonly maySysAdmin: boolean;
  /** This process is in the user namespace of the machine itself. */
  readonly inFirstUserNamespace: boolean;
  /** Undefined where the kernel does not say. */
  readonly userNamespaces: number | undefined;
  /** /etc/fuse.conf has it. */
  readonly userAllowOther: boolean;
}

export interface DeviceFacts {
  /** The character device 10:229 (kernel: Documentation/admin-guide/devices.txt). */
  readonly isFuse: boolean;
  /** Permission bits. */
  readonly mode: number;
  /** errno of an attempt to open it. */
  readonly openTrouble?: string;
}

export interface HelperFacts {
  readonly path: string;
  readonly uid: number;
  readonly mode: number;
  /** It lies on a file system that is mounted nosuid. */
  readonly onNosuid: boolean;
}

const make = findingsOf('fuse');

const SET_UID = 0o4000;

export function fuseFindings(facts: FuseFacts): readonly Finding[] {
  const { platform, addonTrouble } = facts;
  if (platform !== 'linux') {
    const fix = 'mount on Linux; logins, tokens and credentials work here';
    return [make.failure('no-fuse', `wire mounts on Linux, and this is ${platform}`, fix)];
  }
  const troubles = [
    ...(addonTrouble === undefined ? [] : [addonFinding(addonTrouble)]),
    ...deviceFindings(facts.device),
    ...(facts.euid === 0 ? rootFindings(facts) : userFindings(facts)),
  ];
  return [...(troubles.length === 0 ? [fine(facts)] : troubles), ...sharingFindings(facts)];
}

function addonFinding(trouble: string): Finding {
  const fix = 'in a checkout run npm run build (it needs a C++ compiler); else install wire again';
  return make.failure('no-fuse', `the FUSE addon does not load: ${trouble}`, fix);
}

function deviceFindings(device: DeviceFacts | undefined): readonly Finding[] {
  if (device === undefined) {
    const fix = 'load the kernel module (modprobe fuse); give a container --device /dev/fuse';
    return [make.failure('no-fuse', 'there is no /dev/fuse', fix)];
  }
  const { isFuse, mode, openTrouble } = device;
  if (!isFuse) {
    const fix = 'as root: rm /dev/fuse; mknod -m 666 /dev/fuse c 10 229';
    return [make.failure('no-fuse', '/dev/fuse is not the device 10:229', fix)];
  }
  if (openTrouble === undefined) return [];
  const seen = `/dev/fuse (mode ${octal(mode)}) does not open: ${openTrouble}`;
  return [make.failure('no-fuse', seen, openFix[openTrouble] ?? 'mount as root')];
}

/** By what open(2) says of a device. */
const openFix: Readonly<Record<string, string>> = {
  EACCES: 'as root: chmod 666 /dev/fuse',
  // The cgroup of a container decides on devices, whatever their mode.
  EPERM: 'give the container the device itself: --device /dev/fuse (not a bind mount of it)',
  ENODEV: 'load the kernel module: modprobe fuse',
  ENXIO: 'load the kernel module: modprobe fuse',
};

function rootFindings({ maySysAdmin }: FuseFacts): readonly Finding[] {
  if (maySysAdmin) return [];
  const fix = 'give the container --cap-add SYS_ADMIN, or mount as a user with fusermount3';
  return [make.failure('no-fuse', 'root here may not mount (no CAP_SYS_ADMIN)', fix)];
}

function userFindings({ helper, noNewPrivs }: FuseFacts): readonly Finding[] {
  if (helper === undefined) {
    const fix = 'install fuse3 (Debian, Ubuntu: apt-get install fuse3), or mount as root';
    return [make.failure('no-fuse', 'there is no fusermount3, by which users mount', fix)];
  }
  const { path, uid, mode, onNosuid } = helper;
  const findings: Finding[] = [];
  if (uid !== 0 || (mode & SET_UID) === 0) {
    const seen = `${path} is not set-user-id root (owner ${uid}, mode ${octal(mode)})`;
    const fix = `as root: chown root ${path} && chmod 4755 ${path}`;
    findings.push(make.failure('no-fuse', seen, fix));
  } else if (onNosuid) {
    const seen = `${path} lies on a file system mounted nosuid, so it has no rights`;
    const fix = 'have fuse3 installed where set-user-id works';
    findings.push(make.failure('no-fuse', seen, fix));
  }
  if (noNewPrivs) {
    const seen = 'no_new_privs is set for this process, so fusermount3 has no rights';
    const fix =
      'leave out what sets it: NoNewPrivileges= (systemd), allowPrivilegeEscalation: false (Kubernetes), --security-opt no-new-privileges (Docker)';
    findings.push(make.failure('no-fuse', seen, fix));
  }
  return findings;
}

function fine({ euid, helper }: FuseFacts): Finding {
  const by = euid === 0 ? 'root mounts itself' : `users mount through ${helper?.path ?? ''}`;
  return make.ok(`/dev/fuse opens; ${by}`);
}

function sharingFindings(facts: FuseFacts): readonly Finding[] {
  const { euid, userAllowOther, inFirstUserNamespace, userNamespaces } = facts;
  const findings: Finding[] = [];
  if (euid !== 0 && !userAllowOther) {
    const seen = '/etc/fuse.conf has no user_allow_other: --allow-other is refused';
    const fix = 'if others are to use a mount, as root: echo user_allow_other >> /etc/fuse.conf';
    findings.push(make.note(seen, fix));
  }
  if (!inFirstUserNamespace) {
    findings.push(make.note('this is a user namespace: mounts are seen in it alone'));
  } else if (userNamespaces === 0) {
    const seen = 'user namespaces are switched off: containers without root cannot mount';
    findings.push(
      make.note(seen, 'as root, if that is wanted: sysctl user.max_user_namespaces=16384'),
    );
  }
  return findings;
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
