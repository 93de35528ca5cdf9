/** The persons who may log in. */
import type { IamUser } from './options.ts';

export class People {
  readonly #byName = new Map<string, IamUser>();

  constructor(users: readonly IamUser[]) {
    for (const user of users) this.#byName.set(user.name, user);
  }

  byName(name: string): IamUser | undefined {
    return this.#byName.get(name);
  }

  bySub(sub: string): IamUser | undefined {
    return [...this.#byName.values()].find((user) => user.sub === sub);
  }

  /** The person, if the password is right. */
  withPassword(name: string, password: string): IamUser | undefined {
    const user = this.#byName.get(name);
    if (user?.password !== undefined && user.password !== password) return undefined;
    return user;
  }

  /** @throws Error when nobody has that name. */
  change(name: string, change: Partial<Pick<IamUser, 'disabled' | 'aupSigned' | 'groups'>>): void {
    const user = this.#byName.get(name);
    if (user === undefined) throw new Error(`the playground's IAM knows no user ${name}`);
    this.#byName.set(name, { ...user, ...change });
  }
}
