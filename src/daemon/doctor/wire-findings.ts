/** This program and what runs it; what it was told. Pure. */
import type { WireError } from '../../lib/wire-error.ts';
import { type Finding, findingsOf } from './finding.ts';

export interface ProgramFacts {
  readonly version: string;
  /** `20.19.1`. */
  readonly node: string;
  /** `Linux 6.1.0`. */
  readonly system: string;
  /** Most files open at once; undefined where it is not known. */
  readonly openFiles: number | undefined;
}

const make = findingsOf('wire');

/** As package.json says in `engines`. */
const LEAST_NODE = [20, 19] as const;
/** Each file that is open on a mount may need two, each connection one. */
const FEW_FILES = 1024;

export function programFindings(facts: ProgramFacts): readonly Finding[] {
  const { version, node, system, openFiles } = facts;
  const [major = 0, minor = 0] = node.split('.').map(Number);
  const [least, leastMinor] = LEAST_NODE;
  const findings: Finding[] = [];
  if (major < least || (major === least && minor < leastMinor)) {
    const seen = `Node ${node} is older than ${least}.${leastMinor}`;
    findings.push(make.failure('unsupported', seen, 'install a newer Node'));
  } else findings.push(make.ok(`wire ${version} on Node ${node}, ${system}`));
  if (openFiles !== undefined && openFiles < FEW_FILES) {
    const seen = `a process may have only ${openFiles} files open`;
    findings.push(make.warning(seen, 'raise it before mounting: ulimit -n 4096'));
  }
  return findings;
}

const makeConfig = findingsOf('config');

/** What the configuration file says, and what was named. */
export interface ConfigFacts {
  readonly file: string;
  readonly trouble?: WireError;
  /** '' where no profile is used. */
  readonly profile: string;
  readonly endpoint: string | undefined;
  /** Hosts whose certificate is not checked. */
  readonly insecureHosts: readonly string[];
}

export function configFindings(facts: ConfigFacts): readonly Finding[] {
  const { file, trouble, profile, endpoint, insecureHosts } = facts;
  if (trouble !== undefined) {
    return [makeConfig.refused(trouble, trouble.facts.next ?? `correct it in ${file}`)];
  }
  const findings: Finding[] = [];
  if (endpoint === undefined) {
    const seen = 'no S3 endpoint is known: STS and store are not looked at';
    findings.push(makeConfig.note(seen, 'say it with --endpoint URL, or `endpoint:` in a profile'));
  }
  if (insecureHosts.length > 0) {
    const seen = `the certificate of ${insecureHosts.join(', ')} is not checked`;
    findings.push(makeConfig.warning(seen, 'pass the CA with --ca, and leave --insecure out'));
  }
  const of = profile === '' ? 'no profile is used' : `profile ${profile} of ${file}`;
  return findings.length > 0 ? findings : [makeConfig.ok(of)];
}
