import BackupCore
import Glibc
import ResticFormat

/// What each level of compression costs and saves on given files, cut as the store cuts them.
enum CompressionLevels {
    private static let levels = [-1, 1, 2, 3]
    private static let contentLength = 1 << 20

    /// Prints a line for each file and level.
    static func measure(_ paths: [String]) throws {
        for path in paths {
            let bytes = try content(of: path)
            let isDatabase = CutRule.deciding(by: bytes) == .fixed
            let length = isDatabase ? CutRule.fixedLength : contentLength
            for level in levels {
                let (stored, seconds) = compress(bytes, pieces: length, level: level)
                let ratio = Double(stored) / Double(max(1, bytes.count))
                let speed = Double(bytes.count) / 1e6 / max(1e-9, seconds)
                StoreBenchmark.say(
                    "\(path) level \(level): \(thousandths(ratio)) of its size, \(Int(speed)) MB/s")
            }
        }
    }

    private static func thousandths(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

    /// The stored bytes and the processor time of the faster of two passes.
    private static func compress(
        _ bytes: [UInt8], pieces: Int, level: Int
    ) -> (stored: Int, seconds: Double) {
        let codec = ZstdCodec(level: level)
        var stored = 0
        var fastest = Double.infinity
        for _ in 0..<2 {
            let start = processorSeconds()
            stored = 0
            for offset in stride(from: 0, to: bytes.count, by: pieces) {
                // Sound: the slice lies within the array, which lends its storage for the call.
                unsafe bytes.withUnsafeBytes { all in
                    let end = min(all.count, offset + pieces)
                    let piece = unsafe UnsafeRawBufferPointer(rebasing: all[offset..<end])
                    stored += unsafe codec.withFrameIfSmaller(of: piece) { frame in
                        unsafe frame?.count ?? piece.count
                    }
                }
            }
            fastest = min(fastest, processorSeconds() - start)
        }
        return (stored, fastest)
    }

    private static func processorSeconds() -> Double {
        var time = timespec()
        // Sound: the call fills the local value.
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func content(of path: String) throws(DeviceError) -> [UInt8] {
        let file = try FolderReading.open(Array(path.utf8))
        defer { _ = close(file) }
        var bytes: [UInt8] = []
        while let piece = try FolderReading.piece(of: file, atMost: 1 << 20) { bytes += piece }
        return bytes
    }
}
