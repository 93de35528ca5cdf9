/** What the object server refuses with: S3's error codes, their status and their usual message. */

const known = {
  AccessDenied: [403, 'Access Denied.'],
  AllAccessDisabled: [403, 'All access to this resource has been disabled.'],
  AuthorizationHeaderMalformed: [400, 'The authorization header is malformed.'],
  AuthorizationQueryParametersError: [400, 'The authorization query parameters are malformed.'],
  BadDigest: [400, 'The checksum you specified did not match what we received.'],
  BadRequest: [400, 'The request cannot be understood.'],
  BucketAlreadyExists: [409, 'The requested bucket name is not available.'],
  BucketAlreadyOwnedByYou: [409, 'You already own this bucket.'],
  BucketNotEmpty: [409, 'The bucket you tried to delete is not empty.'],
  EntityTooLarge: [400, 'Your proposed upload exceeds the maximum allowed size.'],
  EntityTooSmall: [400, 'A part other than the last one is smaller than 5 MiB.'],
  ExpiredToken: [400, 'The provided token has expired.'],
  IncompleteBody: [400, 'The body does not have the length that was announced.'],
  InternalError: [500, 'We encountered an internal error. Please try again.'],
  InvalidAccessKeyId: [403, 'The Access Key Id you provided does not exist in our records.'],
  InvalidArgument: [400, 'Invalid Argument'],
  InvalidBucketName: [400, 'The specified bucket is not valid.'],
  InvalidDigest: [400, 'The Content-MD5 you specified is not valid.'],
  InvalidPart: [400, 'One or more of the specified parts could not be found.'],
  InvalidPartNumber: [416, 'The requested partnumber is not satisfiable.'],
  InvalidPartOrder: [400, 'The list of parts was not in ascending order.'],
  InvalidRange: [416, 'The requested range is not satisfiable.'],
  InvalidRequest: [400, 'The request is not valid.'],
  InvalidToken: [400, 'The provided token is malformed or otherwise invalid.'],
  InvalidTokenId: [403, 'The security token included in the request is invalid'],
  InvalidURI: [400, 'The URI cannot be parsed.'],
  KeyTooLongError: [400, 'Your key is too long.'],
  MalformedXML: [400, 'The XML you provided was not well-formed.'],
  MetadataTooLarge: [400, 'Your metadata headers exceed the maximum allowed metadata size.'],
  MethodNotAllowed: [405, 'The specified method is not allowed against this resource.'],
  MissingContentLength: [411, 'You must provide the Content-Length HTTP header.'],
  NoSuchBucket: [404, 'The specified bucket does not exist.'],
  NoSuchKey: [404, 'The specified key does not exist.'],
  NoSuchUpload: [404, 'The specified multipart upload does not exist.'],
  NoSuchVersion: [404, 'The specified version does not exist.'],
  NotImplemented: [501, 'A header or query you provided asks for something not implemented.'],
  PreconditionFailed: [412, 'At least one of the preconditions you specified did not hold.'],
  RequestTimeTooSkewed: [403, 'The difference between request time and server time is too large.'],
  SignatureDoesNotMatch: [403, 'The request signature we calculated does not match yours.'],
  SlowDown: [503, 'Please reduce your request rate.'],
  XAmzContentChecksumMismatch: [400, 'The provided checksum does not match the computed one.'],
  XAmzContentSHA256Mismatch: [400, 'The provided x-amz-content-sha256 does not match the body.'],
  XMinioInvalidObjectName: [400, 'Object name contains unsupported characters.'],
  XMinioInvalidResourceName: [400, 'Resource name contains bad components such as ".." or ".".'],
} as const satisfies Record<string, readonly [status: number, message: string]>;

export type S3ErrorCode = keyof typeof known;

/** A refusal, ready to be answered. */
export class S3Error extends Error {
  override readonly name = 'S3Error';
  readonly code: string;
  readonly status: number;

  constructor(code: S3ErrorCode, message: string = known[code][1]) {
    super(message);
    this.code = code;
    this.status = known[code][0];
  }
}

/** A refusal with a code or a status of a test's choosing. */
export class PlantedError extends S3Error {
  override readonly code: string;
  override readonly status: number;

  constructor(status: number, code: string) {
    super('InternalError', 'Planted by the playground.');
    this.code = code;
    this.status = status;
  }
}
