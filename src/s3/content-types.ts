/**
 * The type of an object by the ending of its key, for browsers and tools that ask the store: the
 * formats that science and the web use (IANA media types registry; RFC 9239 for scripts).
 */

/** S3 says `binary/octet-stream` for what comes without a type. */
const UNKNOWN = 'application/octet-stream';
/** Of a marker that stands for a folder; s3fs and the console of AWS know it by this. */
const FOLDER = 'application/x-directory';

/** Endings by type, without their dot. */
const endings: Readonly<Record<string, string>> = {
  'text/plain': 'txt text log conf ini rst',
  'text/markdown': 'md markdown',
  'text/csv': 'csv',
  'text/tab-separated-values': 'tsv',
  'text/html': 'html htm',
  'text/css': 'css',
  'text/javascript': 'js mjs',
  'text/calendar': 'ics',
  'text/x-python': 'py',
  'text/x-c': 'c h cc cpp cxx hh hpp',
  'text/x-fortran': 'f f90 for',
  'text/x-tex': 'tex',
  'application/json': 'json map ipynb',
  'application/geo+json': 'geojson',
  'application/x-ndjson': 'ndjson jsonl',
  'application/xml': 'xml xsd xsl',
  'application/yaml': 'yaml yml',
  'application/toml': 'toml',
  'application/x-sh': 'sh',
  'application/wasm': 'wasm',
  'application/sql': 'sql',
  'application/vnd.sqlite3': 'sqlite sqlite3',
  'application/x-hdf5': 'h5 hdf5 hdf he5',
  'application/x-netcdf': 'nc cdf nc4',
  'application/vnd.apache.parquet': 'parquet',
  'application/vnd.apache.arrow.file': 'arrow feather',
  'application/fits': 'fits fit fts',
  'application/dicom': 'dcm',
  'application/pdf': 'pdf',
  'application/postscript': 'ps eps',
  'application/epub+zip': 'epub',
  'application/rtf': 'rtf',
  'application/msword': 'doc',
  'application/vnd.ms-excel': 'xls',
  'application/vnd.ms-powerpoint': 'ppt',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
  'application/vnd.openxmlformats-officedocument.presentationml.presentation': 'pptx',
  'application/vnd.oasis.opendocument.text': 'odt',
  'application/vnd.oasis.opendocument.spreadsheet': 'ods',
  'application/vnd.oasis.opendocument.presentation': 'odp',
  'application/zip': 'zip npz whl',
  'application/java-archive': 'jar',
  'application/gzip': 'gz tgz',
  'application/x-bzip2': 'bz2 tbz2',
  'application/x-xz': 'xz txz',
  'application/zstd': 'zst',
  'application/x-7z-compressed': '7z',
  'application/x-tar': 'tar',
  'font/woff': 'woff',
  'font/woff2': 'woff2',
  'font/ttf': 'ttf',
  'font/otf': 'otf',
  'image/png': 'png',
  'image/jpeg': 'jpg jpeg jpe',
  'image/gif': 'gif',
  'image/webp': 'webp',
  'image/avif': 'avif',
  'image/svg+xml': 'svg',
  'image/tiff': 'tif tiff geotiff',
  'image/bmp': 'bmp',
  'image/jp2': 'jp2',
  'image/vnd.microsoft.icon': 'ico',
  'audio/mpeg': 'mp3',
  'audio/ogg': 'ogg oga opus',
  'audio/flac': 'flac',
  'audio/wav': 'wav',
  'audio/mp4': 'm4a',
  'video/mp4': 'mp4 m4v',
  'video/webm': 'webm',
  'video/quicktime': 'mov',
  'video/mpeg': 'mpeg mpg',
  'video/x-matroska': 'mkv',
};

const typeOf: ReadonlyMap<string, string> = new Map(
  Object.entries(endings).flatMap(([type, names]) =>
    names.split(' ').map((name): [string, string] => [name, type]),
  ),
);

/** The type of the object `key`; that of any bytes where its ending is not known. */
export function contentTypeOf(key: string): string {
  if (key.endsWith('/')) return FOLDER;
  const name = key.slice(key.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  // A dot in front hides a name, and begins no ending.
  return (dot > 0 ? typeOf.get(name.slice(dot + 1).toLowerCase()) : undefined) ?? UNKNOWN;
}
