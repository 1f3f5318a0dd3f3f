/// What a backup sends.
struct BackupPlan {
    /// Items of the manifest.
    var fileCount = 0
    /// Where the files that go up are in the data.
    var positions: [UInt32] = []
    /// Their bytes.
    var byteCount: UInt64 = 0
    /// Folders of contents that get something: "00" to "ff".
    var buckets: Set<String> = []
    /// How many files went up.
    var sentCount = 0
    /// The files that went up, when they have to be moved one by one.
    var sent: [String] = []
    /// Contents that the host no longer needs.
    var removals: [String] = []

    /// One UploadFiles message.
    struct Batch {
        var positions: ArraySlice<UInt32>
        var byteCount: UInt64
    }

    /// The files in lists of at most 500 files or about 128 MiB.
    func batches(_ data: PhoneData) -> [Batch] {
        var batches: [Batch] = []
        var start = 0
        var bytes: UInt64 = 0
        for (index, position) in positions.enumerated() {
            bytes += data.item(at: Int(position))?.content.byteCount ?? 0
            guard index - start >= 499 || bytes >= 128 << 20 || index + 1 == positions.count else {
                continue
            }
            batches.append(Batch(positions: positions[start...index], byteCount: bytes))
            start = index + 1
            bytes = 0
        }
        return batches
    }
}
