import BackupCore

/// What a host does around a backup or a restore, so that the phone and other hosts know of it:
/// notices, and a lock on a file of the media folder.
final class SyncLock {
    private static let file = "/com.apple.itunes.lock_sync"
    private static let tries = 50
    private static let pause = Duration.milliseconds(200)

    private let notices: any PhoneNotices
    private let media: any MediaFolder
    private let handle: UInt64

    /// Announces the work and takes the lock, waiting 10 s for another host. `busy` when it does
    /// not let go.
    init(
        _ phone: any BackupPhone, _ notices: any PhoneNotices, _ media: any MediaFolder
    ) throws(DeviceError) {
        self.notices = notices
        self.media = media
        try notices.post("com.apple.itunes-mobdev.syncWillStart")
        handle = try media.open(toLock: Self.file)
        do throws(DeviceError) {
            try notices.post("com.apple.itunes-mobdev.syncLockRequest")
            try take(phone)
            try notices.post("com.apple.itunes-mobdev.syncDidStart")
        } catch {
            media.unlock(handle)
            throw error
        }
    }

    private func take(_ phone: any BackupPhone) throws(DeviceError) {
        for _ in 0..<Self.tries {
            if try media.lock(handle) { return }
            phone.pause(Self.pause)
        }
        throw DeviceError(
            .busy, "Another program is at work with this phone (its sync lock is taken)")
    }

    /// Gives the lock back and says so. A phone that is gone needs neither.
    func end() {
        media.unlock(handle)
        try? notices.post("com.apple.itunes-mobdev.syncDidFinish")  // as above
    }
}
