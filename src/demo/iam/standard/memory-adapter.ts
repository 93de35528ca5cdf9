/**
 * Where oidc-provider keeps its records: its own adapter in memory announces itself as a development
 * quick start, and cannot be told that tokens have expired.
 */
import type { Adapter, AdapterPayload } from 'oidc-provider';

/** All records of one provider, by model and id. Nothing is dropped by time: the library looks. */
export class MemoryRecords {
  readonly #models = new Map<string, Map<string, AdapterPayload>>();

  /** Records of one model, such as `RefreshToken`. */
  of(model: string): Map<string, AdapterPayload> {
    const records = this.#models.get(model) ?? new Map<string, AdapterPayload>();
    this.#models.set(model, records);
    return records;
  }

  dropGrant(grantId: string): void {
    for (const records of this.#models.values()) {
      for (const [id, payload] of records) if (payload.grantId === grantId) records.delete(id);
    }
  }

  /** Only a registered one: clients given at the start are not records. */
  dropClient(clientId: string): void {
    this.of('Client').delete(clientId);
    for (const records of this.#models.values()) {
      for (const [id, payload] of records) if (payload.clientId === clientId) records.delete(id);
    }
  }
}

export class MemoryAdapter implements Adapter {
  readonly #all: MemoryRecords;
  readonly #records: Map<string, AdapterPayload>;

  constructor(all: MemoryRecords, model: string) {
    this.#all = all;
    this.#records = all.of(model);
  }

  async upsert(id: string, payload: AdapterPayload): Promise<void> {
    await Promise.resolve(this.#records.set(id, payload));
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    return await Promise.resolve(this.#records.get(id));
  }

  async findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return await this.#findWhere((payload) => payload.userCode === userCode);
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return await this.#findWhere((payload) => payload.uid === uid);
  }

  async consume(id: string): Promise<void> {
    const payload = this.#records.get(id);
    const consumed = Math.floor(Date.now() / 1000);
    if (payload !== undefined) await this.upsert(id, { ...payload, consumed });
  }

  async destroy(id: string): Promise<void> {
    await Promise.resolve(this.#records.delete(id));
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    this.#all.dropGrant(grantId);
    await Promise.resolve();
  }

  async #findWhere(
    matches: (payload: AdapterPayload) => boolean,
  ): Promise<AdapterPayload | undefined> {
    return await Promise.resolve([...this.#records.values()].find(matches));
  }
}
