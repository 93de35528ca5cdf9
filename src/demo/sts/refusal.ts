/** The service says no; `answer` turns it into the XML of its dialect. */
export class StsRefusal extends Error {
  override readonly name = 'StsRefusal';
  /** HTTP status. */
  readonly status: number;
  /** `ExpiredTokenException`, `InvalidParameterValue`, ... */
  readonly code: string;

  constructor(status: number, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.code = code;
  }
}
