import Glibc

/// Reads and writes that go on until all bytes are through.
enum WholeTransfers {
    /// Reads `count` bytes at `offset` of the file into the buffer from `index` on. Gives 0, the
    /// system's error, or ENODATA when the file ends before.
    static func read(
        _ descriptor: Int32, into buffer: inout [UInt8], at index: Int, count: Int,
        from offset: UInt64
    ) -> Int32 {
        precondition(index >= 0 && count >= 0 && index + count <= buffer.count)
        // Sound: the range lies within the buffer, checked above; the pointer does not escape.
        return unsafe buffer.withUnsafeMutableBytes { bytes in
            var done = 0
            while done < count {
                let got = unsafe pread(
                    descriptor, bytes.baseAddress?.advanced(by: index + done), count - done,
                    off_t(offset) + off_t(done))
                if got < 0, errno == EINTR { continue }
                guard got > 0 else { return got == 0 ? ENODATA : errno }
                done += got
            }
            return 0
        }
    }

    /// Writes all bytes at the file's position, or at `offset`. Gives 0 or the system's error.
    static func write(
        _ bytes: ArraySlice<UInt8>, to descriptor: Int32, at offset: UInt64? = nil
    ) -> Int32 {
        // Sound: the pointer is used within the closure and never past the buffer's end.
        unsafe bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let start = unsafe buffer.baseAddress?.advanced(by: done)
                let left = buffer.count - done
                let put =
                    if let offset {
                        unsafe pwrite(descriptor, start, left, off_t(offset) + off_t(done))
                    } else { unsafe Glibc.write(descriptor, start, left) }
                if put < 0, errno == EINTR { continue }
                guard put > 0 else { return errno }
                done += put
            }
            return 0
        }
    }
}
