/**
 * TensorBoard's files: protobuf messages of type `Event`, each framed by its length and two checksums.
 * @see tensorflow/core/lib/io/record_writer.h (framing), tensorflow/core/util/event.proto and summary.proto (fields)
 */

/** length, masked checksum of the length, the bytes, masked checksum of the bytes; little-endian. */
export function tfRecord(data: Uint8Array): Uint8Array {
  const record = Buffer.alloc(12 + data.length + 4);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedCrc32c(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(maskedCrc32c(data), 12 + data.length);
  return record;
}

/** The checksum is rotated and shifted, because checksums of data that holds checksums are poor ones. */
export function maskedCrc32c(data: Uint8Array): number {
  const crc = crc32c(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** CRC-32C (Castagnoli): polynomial 0x1edc6f41, reflected. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

/** What one event says. */
export type TfValue = { tag: string; scalar: number } | { tag: string; text: string };

/** The first record of every file. */
export function versionEvent(seconds: number): Uint8Array {
  return message(field.double(1, seconds), field.bytes(3, Buffer.from("brain.Event:2")));
}

export function summaryEvent(seconds: number, step: number, values: readonly TfValue[]): Uint8Array {
  const summary = message(...values.map((value) => field.bytes(1, summaryValue(value))));
  return message(field.double(1, seconds), field.integer(2, step), field.bytes(5, summary));
}

function summaryValue(value: TfValue): Uint8Array {
  const tag = field.bytes(1, Buffer.from(value.tag));
  if ("scalar" in value) return message(tag, field.float(2, value.scalar));
  const DT_STRING = 7;
  const shape = message(field.bytes(2, message(field.integer(1, 1)))); // [1]
  const tensor = message(
    field.integer(1, DT_STRING),
    field.bytes(2, shape),
    field.bytes(8, Buffer.from(value.text)),
  );
  const textPlugin = message(field.bytes(1, message(field.bytes(1, Buffer.from("text")))));
  return message(tag, field.bytes(8, tensor), field.bytes(9, textPlugin));
}

const message = (...fields: Uint8Array[]): Uint8Array => Buffer.concat(fields);

/** Protobuf's wire format: key (number and type), then the value. */
const field = {
  integer: (number: number, value: number): Uint8Array => Buffer.concat([key(number, 0), varint(value)]),
  double(number: number, value: number): Uint8Array {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return Buffer.concat([key(number, 1), bytes]);
  },
  bytes: (number: number, value: Uint8Array): Uint8Array =>
    Buffer.concat([key(number, 2), varint(value.length), value]),
  float(number: number, value: number): Uint8Array {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return Buffer.concat([key(number, 5), bytes]);
  },
};

const key = (number: number, type: number): Uint8Array => varint(number * 8 + type);

/** Seven bits a byte, the lowest first. @param value up to 2^53 */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
