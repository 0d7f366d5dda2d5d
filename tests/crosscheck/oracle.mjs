// Answers questions with Walrus's own packages: a JSON object a line in, one a line out.
//
//   node oracle.mjs FOLDER        FOLDER/node_modules holds @mysten/walrus and @mysten/walrus-wasm
//
// Only what these packages compute on this machine: nothing here reaches a network. Bytes travel
// as base64. An answer is {"error": words} where the package refused.

import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

const packages = path.resolve(process.argv[2], 'node_modules', '@mysten');
const load = (file) => import(pathToFileURL(path.join(packages, file)).href);
const wasm = await load('walrus-wasm/index.mjs');
const shapes = await load('walrus/dist/utils/bcs.mjs');
const sizes = await load('walrus/dist/utils/index.mjs');
const quilts = await load('walrus/dist/utils/quilts.mjs');
const { QuiltReader } = await load('walrus/dist/files/readers/quilt.mjs');

const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64'));
const text = (data) => Buffer.from(data).toString('base64');
const sha256 = (data) => createHash('sha256').update(data).digest('hex');
const pick = (list, places) => places.map((place) => text(list[place]));

function slots(length, shards) {
  let prefix = 1;
  for (let rest = length >> 7; rest; rest >>= 7) prefix += 1;
  return Array.from({ length: shards }, () => new Uint8Array(prefix + length + 4));
}

function encode({ data, shards, primary, secondary }) {
  const blob = bytes(data);
  const { rowSize, columnSize } = sizes.getSizes(blob.length, shards);
  const rows = slots(rowSize, shards);
  const columns = slots(columnSize, shards);
  const [metadata, root] = new wasm.BlobEncoder(shards).encode(blob, rows, columns);
  const blobId = shapes.blobIdFromBytes(new Uint8Array(metadata.blob_id));
  const written = shapes.BlobMetadataWithId.serialize({ blobId, metadata: metadata.metadata });
  return {
    id: blobId,
    root: text(root.Digest),
    metadata: text(written.toBytes()),
    encodedLength: sizes.encodedBlobLength(blob.length, shards),
    shards: [0, shards - 1].map((pair) => sizes.toShardIndex(pair, blobId, shards)),
    rows: rows.map(sha256), // in the order of pairs
    columns: columns.map(sha256),
    primary: pick(rows, primary),
    secondary: pick(columns, secondary),
  };
}

function decode({ id, size, shards, slivers }) {
  const out = new Uint8Array(size);
  const name = shapes.BlobId.serialize(id).toBytes();
  new wasm.BlobEncoder(shards).decode(name, BigInt(size), slivers.map(bytes), out);
  return { sha256: sha256(out) };
}

function computeMetadata({ data, shards }) {
  const [id, root, length] = new wasm.BlobEncoder(shards).compute_metadata(bytes(data));
  return {
    id: shapes.blobIdFromBytes(new Uint8Array(id)), root: text(root.Digest), length: Number(length),
  };
}

function packQuilt({ items, shards }) {
  const blobs = items.map(({ identifier, data, tags }) => ({
    identifier, tags, contents: bytes(data),
  }));
  const { quilt, index } = quilts.encodeQuilt({ blobs, numShards: shards, encodingType: 'RS2' });
  const { id } = computeMetadata({ data: text(quilt), shards });
  const patches = index.patches.map(({ identifier, startIndex, endIndex, tags }) => ({
    identifier, tags, start: startIndex, end: endIndex,
    patchId: quilts.encodeQuiltPatchId({ quiltId: id, patchId: { version: 1, startIndex, endIndex } }),
  }));
  return { data: text(quilt), id, patches };
}

// What the package's reader asks of a blob, answered from columns, or from the whole blob.
function source(blob, blobId, shards, fromColumns) {
  const { symbolSize, rowSize, columnSize } = sizes.getSizes(blob.length, shards);
  const { primarySymbols } = sizes.getSourceSymbols(shards);
  return {
    blobId,
    hasStartedLoadingFullBlob: !fromColumns,
    getBytes: async () => blob,
    getRowSize: async () => rowSize,
    getSymbolSize: async () => symbolSize,
    getColumnSize: async () => columnSize,
    getSecondarySliver: async ({ sliverIndex }) => {
      const column = new Uint8Array(columnSize);
      for (let row = 0; row < primarySymbols; row += 1) {
        const at = row * rowSize + sliverIndex * symbolSize;
        column.set(blob.subarray(at, at + symbolSize), row * symbolSize);
      }
      return column;
    },
  };
}

async function readQuilt({ data, id, shards, starts, index, fromColumns }) {
  const reader = new QuiltReader({ blob: source(bytes(data), id, shards, fromColumns) });
  const patches = (index ? await reader.readIndex() : []).map(
    ({ identifier, patchId, tags }) => ({ identifier, patchId, tags }));
  const items = [];
  for (const start of starts) {
    const { identifier, tags, blobContents } = await reader.readBlob(start);
    items.push({ identifier, tags: tags ?? {}, data: text(blobContents) });
  }
  return { patches, items };
}

function parsePatchId({ patchId }) {
  const parsed = quilts.parseQuiltPatchId(patchId);
  return { id: parsed.quiltId, start: parsed.patchId.startIndex, end: parsed.patchId.endIndex };
}

function certificate({ certificate: written, committee, keys }) {
  const read = shapes.parseCertificateFromBase64(written);
  return {
    signers: read.signers,
    message: text(read.serializedMessage),
    bitmap: text(sizes.signersToBitmap(read.signers, committee)),
    again: text(shapes.CertificateBcs.serialize(read).toBytes()),
    holds: wasm.bls12381_min_pk_verify_aggregate(
      keys.map((key) => [...bytes(key)]), read.serializedMessage, read.signature),
  };
}

function confirmation({ id, epoch, objectId }) {
  const blobType = objectId ? { Deletable: { objectId } } : { Permanent: null };
  const intent = shapes.IntentType.BLOB_CERT_MSG;
  const message = { intent, epoch, messageContents: { blobId: id, blobType } };
  return { message: text(shapes.StorageConfirmation.serialize(message).toBytes()) };
}

function aggregate({ signatures, key, message }) {
  const lists = signatures.map((signature) => [...bytes(signature)]);
  return {
    signature: text(wasm.bls12381_min_pk_aggregate(lists)),
    holds: wasm.bls12381_min_pk_verify(bytes(signatures[0]), bytes(key), bytes(message)),
  };
}

const answers = {
  encode, decode, computeMetadata, packQuilt, readQuilt, parsePatchId, certificate, confirmation,
  aggregate,
};

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const { ask, ...question } = JSON.parse(line);
  let answer;
  try {
    answer = await answers[ask](question);
  } catch (error) {
    answer = { error: String(error?.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
