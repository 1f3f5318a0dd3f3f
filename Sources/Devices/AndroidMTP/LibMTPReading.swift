package import BackupCore

/// Content with every byte counted.
extension LibMTPLane {
    package mutating func read(
        _ entry: PhoneEntry, emit: (UnsafeRawBufferPointer) -> Bool
    ) throws(DeviceError) {
        guard let handle = UInt32(exactly: entry.object) else {
            throw DeviceError(.unreadable, "There is no such file on this phone")
        }
        var count: UInt64 = 0
        var isTooLong = false
        var isStopped = false
        let announced = entry.byteCount
        let errors = unsafe device.read(handle) { piece in
            count += UInt64(piece.count)
            isTooLong = count > announced ?? Quirks.largestUnknown
            if !isTooLong { isStopped = unsafe !emit(piece) }
            return !isTooLong && !isStopped
        }
        if isStopped { throw DeviceError(.cancelled, "The reading was stopped") }
        if isTooLong {
            guard let announced else {
                throw DeviceError(.limitExceeded, "A file of unknown size goes on without an end")
            }
            throw DeviceError(.wrongSize, "The file goes on after its \(announced) bytes")
        }
        if let error = errors.first { throw try readingFailed(error, count, announced) }
        if let announced, count != announced {
            throw DeviceError(.wrongSize, "The file ended after \(count) of \(announced) bytes")
        }
    }

    /// A refusal concerns this file; anything else may be the end of the phone, so it is asked.
    private mutating func readingFailed(
        _ code: Int, _ count: UInt64, _ announced: UInt64?
    ) throws(DeviceError) -> DeviceError {
        let isRefusal = PTPCode.comesFromThePhone(code) || code == PTPCode.dataExpected
        if !isRefusal || count > 0 {
            do throws(DeviceError) {
                _ = try askStorages()
            } catch {
                guard error.code == .gone else { throw error }
                let size = announced.map { " of \($0)" } ?? ""
                return DeviceError(
                    .gone, "The phone went away after \(count)\(size) bytes of a file")
            }
        }
        return DeviceError(.unreadable, "The phone refuses to give this file", nativeCode: code)
    }
}
