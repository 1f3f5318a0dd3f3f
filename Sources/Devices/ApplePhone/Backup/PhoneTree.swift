import BackupCore

/// The tree's errors as those of a session with a phone.
extension CaptureTree {
    /// Carries `body` out; a refusal is given back, an end is thrown.
    func trying(
        _ body: (any CaptureTree) throws(CaptureTreeError) -> Void
    ) throws(DeviceError) -> HostStatus {
        do throws(CaptureTreeError) {
            try body(self)
            return .done
        } catch .refused(let refusal, _) {
            return HostStatus(refusal)
        } catch {
            throw error.deviceError
        }
    }

    /// Carries `body` out; a refusal is an error.
    func demanding<Value>(
        _ body: (any CaptureTree) throws(CaptureTreeError) -> Value
    ) throws(DeviceError) -> Value {
        do { return try body(self) } catch { throw error.deviceError }
    }

    /// A small file's content; nil when there is none, or none that can be read. Longer than
    /// `limit` bytes is `limitExceeded`.
    func content(of path: EntryPath, limit: Int) throws(DeviceError) -> [UInt8]? {
        var content: [UInt8] = []
        let status = try trying { tree throws(CaptureTreeError) in
            try tree.read(path) { piece throws(CaptureTreeError) in
                content += piece
                return content.count <= limit
            }
        }
        guard content.count <= limit else {
            throw DeviceError(.limitExceeded, "\(path) is larger than such a file can be")
        }
        return status == .done ? content : nil
    }

    /// Puts a small file.
    func put(_ content: [UInt8], at path: EntryPath) throws(DeviceError) {
        try demanding { tree throws(CaptureTreeError) in
            try tree.beginFile(path)
            try tree.append(content)
            try tree.endFile()
        }
    }
}
