/** Where the STS of an S3 endpoint is: pure. */

/**
 * Hosts of AWS's S3, with the region where the name has one: `s3.eu-south-1.amazonaws.com`,
 * `s3.dualstack.eu-south-1…`, `s3-fips.us-west-2…`, the old `s3-us-west-2…`, `s3.amazonaws.com`,
 * China with `.cn`, and buckets before any of them.
 * https://docs.aws.amazon.com/general/latest/gr/s3.html
 */
const awsS3 =
  /(?:^|\.)s3(?:-fips)?(?:\.dualstack)?(?:[.-](?<region>[a-z]{2}(?:-[a-z]+)+-\d+))?\.amazonaws\.com(?<china>\.cn)?$/;

/**
 * The STS that goes with an S3 endpoint when none is named: AWS's of the region, which answers
 * sooner than the global one and goes on when another region is down; else the endpoint itself,
 * as at MinIO and Ceph RGW.
 *
 * @param region used where the host has none in its name.
 */
export function stsEndpointOf(endpoint: string, region: string): string {
  const host = URL.canParse(endpoint) ? new URL(endpoint).hostname : '';
  const found = awsS3.exec(host);
  if (found === null) return endpoint;
  const { region: named = region, china = '' } = found.groups ?? {};
  return `https://sts.${named}.amazonaws.com${china}`;
}
