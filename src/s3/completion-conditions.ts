/**
 * Whether a server looks at the conditions of CompleteMultipartUpload, which decides whether we
 * have to look before each. AWS does. Of MinIO it depends on its age: there one asks it to complete
 * an upload that never was, under conditions that cannot hold. It can do nothing with such a
 * request, and its answer tells which of the two it looked at first. Others are not asked: Ceph RGW
 * 16, which ignores them, answers such a request with an internal error.
 */
export type AsksImpossible = (conditions: 'be-absent' | 'be-other') => Promise<boolean>;

export class CompletionConditions {
  #kept = false;
  #known = false;

  /** The server itself refuses a completion whose condition does not hold. */
  get areKept(): boolean {
    return this.#kept;
  }

  /**
   * Learns from a server that has just completed an upload.
   *
   * @param server the `Server` field of its answer.
   * @param refuses whether it refuses, for its condition, what it could not do anyway.
   */
  async learn(server: string | undefined, refuses: AsksImpossible): Promise<void> {
    if (this.#known) return;
    this.#known = true;
    if (server === 'AmazonS3') this.#kept = true;
    if (server !== 'MinIO') return;
    this.#kept = (await refuses('be-absent')) && (await refuses('be-other'));
  }
}
