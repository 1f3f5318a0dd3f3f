import BackupCore

/// Counts the photos and videos whose originals are only in iCloud: "Optimise iPhone Storage"
/// leaves a small rendition on the phone, or nothing.
enum CloudPhotos {
    /// Assets that are remembered while they are counted; a library beyond it is not counted.
    private static let most = 4 << 20

    /// The number that a photo database (`PhotoData/Photos.sqlite`) tells; nil when it is none
    /// that is understood. `log` is the content of its write-ahead log, where the phone has what it
    /// noted last.
    ///
    /// `ZINTERNALRESOURCE` has a row for each file of an asset: sub-type 1 is the original, type
    /// 0 a photo and 1 a video, and a local availability of 1 means that it is on the phone
    /// (https://github.com/ScottKjr3347/iOS_Local_PL_Photos.sqlite_Queries).
    static func count(
        _ source: @escaping SQLiteTables.Source, log: [UInt8] = []
    ) throws -> UInt64? {
        var missing: Set<Int64> = []
        var here: Set<Int64> = []
        do {
            var tables = try SQLiteTables(source, log: log)
            let columns = [
                "ZASSET", "ZDATASTORESUBTYPE", "ZRESOURCETYPE", "ZLOCALAVAILABILITY",
            ]
            try tables.forEachRow(of: "ZINTERNALRESOURCE", columns) { row in
                guard let asset = row[0], row[1] == 1, row[2] == 0 || row[2] == 1,
                    let availability = row[3]
                else { return }
                if availability == 1 { here.insert(asset) } else { missing.insert(asset) }
                guard here.count + missing.count <= most else { throw SQLiteTables.Damaged() }
            }
        } catch is SQLiteTables.Damaged {
            return nil
        }
        return UInt64(missing.subtracting(here).count)
    }
}
