import { expect, test } from "vitest";
import { crc32c, maskedCrc32c, summaryEvent, tfRecord } from "./tf-records.js";

test("CRC-32C equals the test vectors of RFC 3720, B.4", () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
});

test("a record is length, masked checksum, bytes, masked checksum", () => {
  const data = Buffer.from("brain");
  const record = Buffer.from(tfRecord(data));
  expect(record.length).toBe(8 + 4 + 5 + 4);
  expect(record.readBigUInt64LE(0)).toBe(5n);
  expect(record.readUInt32LE(8)).toBe(maskedCrc32c(record.subarray(0, 8)));
  expect(record.subarray(12, 17).toString()).toBe("brain");
  expect(record.readUInt32LE(17)).toBe(maskedCrc32c(data));
  // By hand: 0xe3069283 rotated right by 15 bits is 0x2507c60d, plus 0xa282ead8.
  expect(maskedCrc32c(Buffer.from("123456789"))).toBe(0xc78ab0e5);
});

test("a scalar is laid out as the protobuf definition says", () => {
  const bytes = Buffer.from(summaryEvent(1.5, 300, [{ tag: "a", scalar: -2 }]));
  expect(bytes.toString("hex")).toBe(
    [
      "09000000000000f83f", // wall_time = 1.5
      "10ac02", // step = 300
      "2a0a", // summary, 10 bytes
      "0a08", // value, 8 bytes
      "0a0161", // tag = "a"
      "15000000c0", // simple_value = -2
    ].join(""),
  );
});
