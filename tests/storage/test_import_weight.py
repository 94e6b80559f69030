"""Opening a datastore and keeping small things costs no heavy import."""

import subprocess
import sys


def test_the_datastore_loads_no_table_or_image_library():
    code = (
        "import sys, tempfile\n"
        "from skybutler.storage.datastore import Datastore\n"
        "from skybutler.storage import files, formatters, tables, filters\n"
        "folder = tempfile.mkdtemp()\n"
        "files.write({'a': 1}, folder + '/a.json'); files.read(folder + '/a.json')\n"
        "print(sorted({'numpy', 'pandas', 'pyarrow', 'astropy', 'pydantic', 'matplotlib', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(eval(done.stdout)) <= {"yaml"}
