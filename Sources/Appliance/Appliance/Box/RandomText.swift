import BackupCore
import ControlAPI
import ResticFormat

/// Random digits for ids.
enum RandomText {
    /// `byteCount` random bytes as hexadecimal digits.
    static func hex(_ byteCount: Int) -> String { text(secureRandomBytes(byteCount)) }

    /// Bytes as two lower-case hexadecimal digits each.
    static func text(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return byte < 16 ? "0" + digits : digits
        }.joined()
    }
}

/// Times in ids.
enum RFC3339Text {
    /// `time` to the second, in UTC.
    static func seconds(_ time: Timestamp) -> String {
        RFC3339.text(Timestamp(seconds: time.seconds))
    }
}
